"""How long acknowledged writes take while a backup is made of the file that they go to."""

from __future__ import annotations

from pathlib import Path

import trio

from _crowded import task_id
from _writing import WRITERS, Log, log_through, open_store, timed
from mission_control.storage import WallClock
from mission_control.storage.backups import Backups

PAUSE_S = 0.1
"""Between two events of one writer: a thousand events a second are asked for in all."""


async def waits_during_backup(home: Path, database: Path) -> list[float]:
    """Seconds that each event took, from the backup's beginning to its end."""
    waits: list[float] = []
    async with open_store(database) as store, trio.open_nursery() as nursery:
        log = log_through(store)
        for number in range(WRITERS):
            nursery.start_soon(_keep_writing, log, number, waits)
        await trio.sleep(5 * PAUSE_S)
        del waits[:]
        await trio.to_thread.run_sync(Backups(home, WallClock()).create)
        measured = list(waits)
        nursery.cancel_scope.cancel()
    return measured


async def _keep_writing(log: Log, number: int, waits: list[float]) -> None:
    await trio.sleep(PAUSE_S * number / WRITERS)
    while True:
        await timed(log, task_id(number), waits)
        await trio.sleep(PAUSE_S)
