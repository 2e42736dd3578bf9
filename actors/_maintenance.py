"""Maintenance: what a home needs from time to time, at times when nobody notices.

Backups by the clock, and the removal of what has had its time: old backups, old idempotency keys,
old parts of the change log.  All of it runs in a worker thread or as ordinary commands, so nobody
waits for it; a failure is logged, shown in `mission.system.health`, and tried again.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

import attrs
import trio

from ..storage import US, MissionError
from ..storage.backups import SCHEDULED, Backup, Backups
from ..storage.commands import PURGED_AT_ONCE, PurgeIdempotency
from ..supervisor import Actor, Context
from ._mission import Mission
from ._retention import trim_log

T = TypeVar("T")

log = logging.getLogger("mission_control.maintenance")

NAME = "maintenance"

HOUR_S = 3_600.0
SETTLE_S = 60.0
"""After a start, before anything is done: then others have more to do."""

RETRY_S = 900.0
"""After a backup that failed."""

TOLD = 5
"""Of the files that a backup leaves out, in the log; `backup list --json` has them all."""

KEEP_KEYS_S = 24 * HOUR_S
"""So long does an idempotency key give the same answer (SYSTEM §15)."""

_FAILURES = (MissionError, OSError, sqlite3.Error)
"""Of disks and of parts that are away: no reason to restart anything."""


@attrs.frozen
class MaintenanceSettings:
    """What is kept, and how often it is looked after."""

    enabled: bool = True
    """Whether backups are made by the clock."""
    interval_h: float = 24.0
    keep_daily: int = 7
    keep_weekly: int = 4
    keep_changes_days: int = 30


@attrs.frozen
class HowKept:
    """Answered with an :class:`Upkeep`."""


@attrs.frozen
class Upkeep:
    """How the backups of this home stand.  Times are microseconds since the Unix epoch."""

    last_at: int | None
    """Of the newest backup."""
    next_at: int | None
    """When another is due; None where the clock makes none."""
    failure: str | None
    """Why the last attempt failed."""


@attrs.frozen
class Round:
    """See what is due."""


Message: TypeAlias = Round | HowKept


class Maintenance(Actor[Message]):
    """Makes a round every hour, and whenever a backup is due."""

    ctx: Context[Message]

    def __init__(self, mission: Mission, settings: MaintenanceSettings) -> None:
        self._mission = mission
        self._settings = settings
        self._upkeep = Upkeep(None, None, None)

    async def started(self) -> None:
        """Look when the newest backup was made: a restart does not put the next one off."""
        try:
            self._plan(await self._in_thread(self._newest))
        except _FAILURES as error:
            self._note_failure(error)
        self.ctx.after(SETTLE_S, Round())

    def receive(self, message: Message) -> Upkeep | None:
        """Begin a round beside the mailbox, so that questions are answered meanwhile."""
        match message:
            case HowKept():
                return self._upkeep
            case Round():
                self.ctx.start_soon(self._round)
        return None

    async def _round(self) -> None:
        await self._tidy(self._purge)
        await self._tidy(self._trim)
        if self._wait_s() <= 0:
            await self._back_up()
        self.ctx.after(max(1.0, min(HOUR_S, self._wait_s())), Round())

    def _wait_s(self) -> float:
        next_at = self._upkeep.next_at
        if next_at is None:
            return HOUR_S
        wait_s = (next_at - self._mission.clock.now_us()) / US
        # Further away than ever planned: the clock has been set back since.
        return wait_s if wait_s <= max(self._interval_s, RETRY_S) else 0.0

    @property
    def _interval_s(self) -> float:
        return self._settings.interval_h * HOUR_S

    async def _back_up(self) -> None:
        try:
            newest = await self._in_thread(self._make)
        except _FAILURES as error:
            self._note_failure(error)
        else:
            self._plan(newest)

    def _newest(self, backups: Backups) -> Backup | None:
        """Return the newest backup; one from the future tells of a clock that was wrong."""
        now_us = self._mission.clock.now_us()
        made = [backup for backup in backups.list() if backup.created_at <= now_us]
        return made[-1] if made else None

    def _make(self, backups: Backups) -> Backup:
        made = backups.create(reason=SCHEDULED, progress=give_up_when_cancelled)
        gone = backups.prune(self._settings.keep_daily, self._settings.keep_weekly)
        log.info("backup %s made, %d old ones removed", made.id, len(gone))
        if left := made.manifest.skipped:
            told = "; ".join(map(repr, left[:TOLD]))
            log.warning("backup %s leaves out %d files: %s", made.id, len(left), told)
        return made

    async def _in_thread(self, do: Callable[[Backups], T]) -> T:
        backups = Backups(self._mission.home.path, self._mission.clock, step=give_up_when_cancelled)
        return await trio.to_thread.run_sync(do, backups)

    def _plan(self, newest: Backup | None) -> None:
        last_at = None if newest is None else newest.created_at
        now_us = self._mission.clock.now_us()
        due = next_backup(last_at, now_us, round(self._interval_s * US))
        self._upkeep = Upkeep(last_at, due if self._settings.enabled else None, None)

    def _note_failure(self, error: Exception) -> None:
        log.warning("the backup failed, it is tried again in %.0f s: %s", RETRY_S, error)
        again = self._mission.clock.now_us() + round(RETRY_S * US)
        self._upkeep = attrs.evolve(
            self._upkeep, next_at=again if self._settings.enabled else None, failure=str(error)
        )

    async def _tidy(self, do: Callable[[], Awaitable[object]]) -> None:
        try:
            await do()
        except _FAILURES as error:
            log.warning("tidying failed, the next round tries again: %s", error)

    async def _purge(self) -> None:
        before = self._mission.clock.now_us() - round(KEEP_KEYS_S * US)
        purged = PURGED_AT_ONCE
        while purged == PURGED_AT_ONCE:
            purged = await self._mission.store.write(PurgeIdempotency(before), by=NAME)

    async def _trim(self) -> None:
        await trim_log(self._mission, self._settings.keep_changes_days)


def next_backup(last_at: int | None, now_us: int, interval_us: int) -> int:
    """Return when a backup is due: now, where there is none that was made before now."""
    return now_us if last_at is None or last_at > now_us else last_at + interval_us


def give_up_when_cancelled(*_: object) -> None:
    """Keep nobody waiting who stops the sidecar: what is half made is removed."""
    trio.from_thread.check_cancelled()
