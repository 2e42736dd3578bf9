"""Traces of attempts that are labelled dead or alive, and what the deadman makes of them.

Made from a seed, on a clock of their own: nothing waits.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

import attrs

from mission_control.actors._deadman import Deadman

LIMIT_S: Final = 300.0
"""Of an ordinary silence; the default of the settings."""
TICK_S: Final = 30.0


@attrs.frozen
class Sign:
    """The attempt was seen to live."""

    at_s: float
    expect_silence_s: float | None = None


@attrs.frozen
class Trace:
    """One attempt, from 0 s on."""

    signs: tuple[Sign, ...]
    ends_s: float | None
    """When it ended by itself; None where it died."""
    dies_s: float = 0.0
    """By when a dead one must be known to be, but for a tick; 0 where it is not."""


@attrs.frozen
class Verdicts:
    """What came of many."""

    false_kills: int
    missed: int


def judge(count: int, seed: int) -> Verdicts:
    """Have the deadman watch *count* attempts, half of which die."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    false_kills = missed = 0
    for number in range(count):
        trace = _trace(rng, dies=bool(number % 2))
        killed_s = _watch(trace)
        if trace.ends_s is not None:
            false_kills += killed_s is not None
        else:
            late = killed_s is None or killed_s > trace.dies_s + TICK_S
            missed += late or (killed_s is not None and killed_s < trace.dies_s)
    return Verdicts(false_kills, missed)


def _trace(rng: random.Random, *, dies: bool) -> Trace:
    """Make the signs of an attempt: bursts, pauses, and long work that was announced.

    The label comes from how it is made, not from the policy that is to find it out.
    """
    signs, now_s, announced_to_s = [], 0.0, 0.0
    for _ in range(rng.randint(0, 60)):
        now_s += rng.choice((2, 60, 0.999 * _allowed_s(now_s, announced_to_s))) * rng.random()
        expects_s = rng.uniform(0, 3_600) if rng.random() < 0.2 else None
        if expects_s is not None:
            announced_to_s = now_s + expects_s
        signs.append(Sign(now_s, expects_s))
    allowed_s = _allowed_s(now_s, announced_to_s)
    if dies:
        return Trace(tuple(signs), None, now_s + allowed_s)
    return Trace(tuple(signs), now_s + 0.999 * allowed_s * rng.random())


def _allowed_s(now_s: float, announced_to_s: float) -> float:
    """Return how long one may be silent that gives a sign now."""
    return max(LIMIT_S, announced_to_s - now_s)


def _watch(trace: Trace) -> float | None:
    """Return when the deadman ends the attempt; None where it does not."""
    deadman = Deadman(LIMIT_S, 0.0)
    for at_s, sign in _happenings(trace):
        while deadman.dies_at <= at_s:  # as the watcher of an attempt sleeps
            woken_s = deadman.dies_at
            if deadman.verdict(woken_s) is not None:
                return woken_s
        if sign is not None:
            deadman.sign(at_s, "output", sign.expect_silence_s)
    return None


def _happenings(trace: Trace) -> Iterator[tuple[float, Sign | None]]:
    for sign in trace.signs:
        yield sign.at_s, sign
    yield (trace.dies_s + 10 * LIMIT_S if trace.ends_s is None else trace.ends_s), None
