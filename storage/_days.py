"""Days, in UTC: what is counted by the day begins anew with them."""

from __future__ import annotations

from datetime import UTC, date, datetime

from ._clock import US

_DAY_US = 86_400 * US


def day_of(at_us: int) -> str:
    """Return the day (UTC) of a stored time, as `2026-11-22`."""
    return str(datetime.fromtimestamp(at_us / US, UTC).date())


def days_between(day: str, later: str) -> int:
    """Return how many days *later* is after *day*; less than 0 where it is before."""
    return (date.fromisoformat(later) - date.fromisoformat(day)).days


def midnight(at_us: int) -> int:
    """Return the stored time at which the day (UTC) of *at_us* began."""
    return at_us // _DAY_US * _DAY_US


def next_day(at_us: int) -> int:
    """Return the stored time at which the day (UTC) after that of *at_us* begins."""
    return midnight(at_us) + _DAY_US
