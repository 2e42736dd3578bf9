"""When agents pulse: staggered by the golden ratio, so that no two crowds ever form.

The agent in slot n pulses at k * interval + interval * frac(n / φ), counted from the Unix epoch.
By the three-distance theorem the gaps between N agents with one interval have at most three
sizes.  Nothing of it is kept but the slot, so it survives restarts and moves nobody when an
agent joins.
"""

from __future__ import annotations

import math

PHI_INVERSE = 0.618033988749895

RETRY_LIMIT_S = 300.0

IDLE_EXCUSED = 2
"""So many attempts in a row in which nothing moved keep to the schedule; each further one doubles
the time to the next."""


def phase(slot: int, interval_s: float) -> float:
    """Seconds between a multiple of the interval and this slot's pulse."""
    return interval_s * math.fmod(slot * PHI_INVERSE, 1.0)


def next_pulse(now_s: float, slot: int, interval_s: float) -> float:
    """Return the first time of this slot that is later than *now_s* (seconds since the epoch)."""
    offset = phase(slot, interval_s)
    time = (math.floor((now_s - offset) / interval_s) + 1) * interval_s + offset
    return time if time > now_s else time + interval_s


def next_after_idling(
    now_s: float, slot: int, interval_s: float, idle: int, longest_s: float
) -> float:
    """Return the time of the next pulse after *idle* attempts in a row in which nothing moved.

    It is a time of the schedule, twice as many intervals ahead after each attempt that is not
    excused, up to *longest_s*; where the interval is longer, the next one.
    """
    doublings = min(max(idle - IDLE_EXCUSED, 0), 30)
    wait_s = max(min(interval_s * 2.0**doublings, longest_s), interval_s)
    return next_pulse(now_s + wait_s - interval_s, slot, interval_s)


def times_between(start_s: float, end_s: float, slot: int, interval_s: float) -> int:
    """Count the times of this slot after *start_s* and up to *end_s*: they came in mid-run."""
    offset = phase(slot, interval_s)
    first, last = ((at - offset) // interval_s for at in (start_s, end_s))
    return max(int(last - first), 0)


def retry_delay(failures: int, base_s: float) -> float:
    """Seconds to wait after so many failures in a row: doubling, at most five minutes."""
    return float(min(base_s * 2.0 ** min(failures - 1, 30), RETRY_LIMIT_S))
