"""Retention of the change log: what is old goes from the database to the archive."""

from __future__ import annotations

import trio

from ..storage import OURSELVES, US
from ..storage.commands import TrimLog
from ..storage.history import archive_log
from ._feed import NAME as FEED
from ._feed import GiveUp, LowWater
from ._mission import Mission

DAY_US = 86_400 * US


async def trim_log(mission: Mission, keep_days: int) -> int:
    """Archive the changes older than *keep_days* days that everybody has been told of.

    May be cut off anywhere: nothing is lost, and the next call goes on.  One call at a time.

    Args:
        mission: whose log it is.
        keep_days: 0 keeps all.

    Returns:
        How many changes left the database.

    Raises:
        MissionError: the feed or the storage is away, or an archived file is damaged.
        OSError: the archive cannot be written.
    """
    if keep_days == 0:
        return 0
    now_us = mission.clock.now_us()
    old = {"before_us": now_us - keep_days * DAY_US, "now_us": now_us}
    told = int(await mission.ask(FEED, LowWater()))
    trimmed = 0
    while True:
        segment = await trio.to_thread.run_sync(
            lambda: archive_log(mission.home.database, mission.home.changes, **old, up_to=told)
        )
        if segment is None or not await mission.ask(FEED, GiveUp(segment.last)):
            return trimmed
        begun = mission.reads.retention_seq()
        left = segment.last - begun
        while left:
            left = await mission.store.write(TrimLog(segment), by=OURSELVES)
        trimmed += segment.last - begun
