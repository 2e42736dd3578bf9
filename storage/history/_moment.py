"""A moment in the past, as people name it: a time, a span back from now, or a cursor."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from .._clock import US
from .._errors import Invalid
from ._cursor import Cursor

Moment: TypeAlias = Cursor | int
"""A place in the log, or a time in microseconds since the Unix epoch."""

UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_SPAN = re.compile(r"-(?:[0-9]{1,6}[wdhms])+")
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_CURSOR = re.compile(r"[0-9a-f]+\.[0-9]+")


def parse_moment(text: str, *, now_us: int, field: str) -> Moment:
    """Read `2026-11-22T18:00:00+01:00` (UTC where it has no offset), `-2h`, `-1d12h`, or a cursor.

    Raises:
        Invalid: *text* is none of these, or after *now_us*; names *field*.
    """
    if _CURSOR.fullmatch(text):
        return Cursor.parse(text, field=field)
    if _SPAN.fullmatch(text):
        parts = re.findall(r"([0-9]+)([wdhms])", text)
        span_us = sum(int(count) * _SECONDS[unit] for count, unit in parts) * US
        return max(0, now_us - span_us)
    at_us = _time(text, field)
    if at_us > now_us:
        raise Invalid(f"{field} must not be in the future, as {text} is", field=field)
    return max(0, at_us)


def _time(text: str, field: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - UNIX) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise Invalid(
            f"{field} must be a time such as 2026-11-22T18:00:00Z, a span such as -2h (w, d, h,"
            f" m, s), or a cursor; not {text!r}"[:300],
            field=field,
        ) from None
