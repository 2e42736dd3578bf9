"""Which backups may go: a pure policy, grandfather, father and son."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime

from .._clock import US
from ._backup import Backup

KEPT_US = 7 * 86_400 * US
"""So long stays whatever was not made by the schedule: somebody may want it back."""

SCHEDULED = "scheduled"


def expendable(
    backups: Sequence[Backup], now_us: int, *, keep_daily: int, keep_weekly: int
) -> list[Backup]:
    """Return which of *backups* (oldest first) may be removed.

    Kept are the newest one of each of the last *keep_daily* days that have any, of the last
    *keep_weekly* weeks that have any, the newest of all, and for seven days each that was made
    on demand or before a change (a migration, a restore).  Days and weeks are UTC's.  A backup
    that is known to be damaged keeps no place; it goes when it is seven days old.
    """
    sound = [backup for backup in backups if not backup.damaged]
    kept = {backup.id for backup in sound[-1:] or backups[-1:]}
    kept |= _newest(sound, keep_daily, lambda day: (day.toordinal(), 0))
    kept |= _newest(sound, keep_weekly, lambda day: day.isocalendar()[:2])
    kept |= {b.id for b in backups if _protected(b) and now_us - b.created_at < KEPT_US}
    return [backup for backup in backups if backup.id not in kept]


def _protected(backup: Backup) -> bool:
    return backup.reason != SCHEDULED or backup.damaged


def _newest(
    backups: Sequence[Backup], places: int, period: Callable[[date], tuple[int, int]]
) -> set[str]:
    """Return the ids of the newest backup in each of the last *places* periods."""
    newest: dict[tuple[int, int], str] = {}
    for backup in reversed(backups):
        day = datetime.fromtimestamp(backup.created_at / US, UTC).date()
        newest.setdefault(period(day), backup.id)
    return set(list(newest.values())[:places])
