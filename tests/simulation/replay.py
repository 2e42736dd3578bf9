"""Lives through the world of one seed and prints a digest of all that happened: `replay.py SEED`.

Run as a program, so that a test can compare what two processes make of a seed: strings, and so
the order of sets of them, hash differently in each.  With a second argument turns are run again
after a crash, and short days of further seeds are lived through until a law is broken.
"""

from __future__ import annotations

import hashlib
import sys

from mission_control.actors import Life, Outcome, PulseOrder, RunHandle

from . import world
from .climate import Climate
from .places import new_folder
from .planting import BUSY, MOST_WORLDS, SHORT_DAY_S
from .replacing import replacing
from .runner import SimulatedRunner
from .world import LawBroken, World

LAWFUL = "no law is broken"


def digest(seed: int, climate: Climate | None = None) -> str:
    """Return a digest of the journal, and of every change that was committed; and what broke."""
    broken = LAWFUL
    with new_folder() as folder:
        lived = World(seed, folder, climate)
        try:
            lived.run()
        except LawBroken as failure:
            broken = str(failure)
        told = "\n".join([*lived.journal, *map(repr, lived.log())])
    return f"{len(lived.journal)} {hashlib.sha256(told.encode()).hexdigest()} {broken}"


async def run_again(
    self: SimulatedRunner, order: PulseOrder, handle: RunHandle, life: Life
) -> Outcome:
    """Take the place of `recover`, and do what must never be done."""
    return await self.run(order, life)


if __name__ == "__main__":
    first = int(sys.argv[1])
    if not sys.argv[2:]:
        sys.stdout.write(digest(first))
    else:
        with (
            replacing(SimulatedRunner, "recover", run_again),
            replacing(world, "DAY_S", SHORT_DAY_S),
        ):
            told = (digest(seed, BUSY) for seed in range(first, first + MOST_WORLDS))
            sys.stdout.write(next(each for each in told if not each.endswith(LAWFUL)))
