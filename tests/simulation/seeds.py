"""What a seed decides, and which seeds are run: `SEED` replays one, `SIMULATE_SEEDS` says how many.

Every part draws from a stream of its own, so that a change to one does not shift the others.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from .replacing import replacing

SEEDS = int(os.environ.get("SIMULATE_SEEDS", "50"))


def seeds() -> list[int]:
    """Return the seeds that are to be run."""
    only = os.environ.get("SEED")
    return [int(only)] if only else list(range(SEEDS))


def stream(seed: int, name: str) -> random.Random:
    """Return the chances of one part of the world; the same in every process."""
    return random.Random(f"{seed}/{name}")  # noqa: S311 - no secrets


@contextmanager
def scheduling(seed: int) -> Iterator[None]:
    """Let *seed* decide in which order trio runs what is ready at the same time.

    Trio keeps tasks that are ready in sets, which Python orders by address.  Its own switch for
    property tests sorts them; its die, which may turn the order around, is ours then.
    """
    core = trio._core._run
    with (
        replacing(core, "_ALLOW_DETERMINISTIC_SCHEDULING", True),
        replacing(core, "_r", stream(seed, "scheduler")),
    ):
        yield
