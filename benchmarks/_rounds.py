"""Rounds: contenders in random order, and each round judged by itself.

Other programs disturb a shared machine for seconds at a time.  They disturb all contenders of a
short round alike, so a ratio taken inside the round is steadier than any of its two times.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from statistics import median
from typing import Any, TypeAlias

import attrs
import trio

Contender: TypeAlias = Callable[[], float]
"""Does its work once, and returns CPU seconds per operation."""


@attrs.frozen
class Score:
    """Medians over the rounds."""

    ratio: float
    """How many times less CPU time it takes than the baseline of its round."""
    cost: float
    """CPU seconds per operation."""


def race(contenders: Mapping[str, Contender], rounds: int) -> dict[str, Score]:
    """Score *contenders*, of which the first is the baseline."""
    baseline = next(iter(contenders))
    costs = [_round(contenders) for _ in range(rounds)]
    return {
        name: Score(
            ratio=median(round_[baseline] / round_[name] for round_ in costs),
            cost=median(round_[name] for round_ in costs),
        )
        for name in contenders
    }


def _round(contenders: Mapping[str, Contender]) -> dict[str, float]:
    names = random.sample(list(contenders), len(contenders))
    return {name: without_gc(contenders[name]) for name in names}


def without_gc(contender: Contender) -> float:
    """Run *contender* on a clean heap, and without collections, which would hit one at random."""
    gc.collect()
    gc.disable()
    try:
        return contender()
    finally:
        gc.enable()


def on_trio(function: Callable[[int], Awaitable[float]], count: int) -> Contender:
    """Make a contender of an async function."""
    return lambda: trio.run(function, count)


def on_asyncio(function: Callable[[int], Coroutine[Any, Any, float]], count: int) -> Contender:
    """Make a contender of a coroutine function."""
    return lambda: asyncio.run(function(count))
