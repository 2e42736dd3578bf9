"""Lives through the world of one seed and prints a digest of all that happened: `replay.py SEED`.

Run as a program, so that a test can compare what two processes make of a seed: strings, and so
the order of sets of them, hash differently in each.
"""

from __future__ import annotations

import hashlib
import sys

from .places import new_folder
from .world import World


def digest(seed: int) -> str:
    """Return a digest of the journal, and of every change that was committed."""
    with new_folder() as folder:
        world = World(seed, folder)
        world.run()
        told = "\n".join([*world.journal, *map(repr, world.log())])
    return f"{len(world.journal)} {hashlib.sha256(told.encode()).hexdigest()}"


if __name__ == "__main__":
    sys.stdout.write(digest(int(sys.argv[1])))
