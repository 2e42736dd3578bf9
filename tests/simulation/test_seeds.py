"""A day of work, with everything that can go wrong, for one seed after the other.

`make simulate` runs a thousand; `make simulate SEED=17` replays one, and leaves its journal.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .seeds import seeds
from .world import World

TESTS = Path(__file__).parent.parent
SUPPORT = TESTS / "support"

JOURNAL = Path(".cache/simulation.journal")
"""Of the last world that broke a law, or of the only one."""


pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", seeds())
def test_no_law_is_broken_on_any_day(seed: int, folder: Path) -> None:
    world = World(seed, folder)
    try:
        world.run()
    finally:
        if world.broken is not None or "SEED" in os.environ:
            JOURNAL.parent.mkdir(exist_ok=True)
            JOURNAL.write_text("\n".join(world.journal) + "\n")


def test_a_seed_replays_to_the_byte_in_another_process() -> None:
    first, second = (
        subprocess.run(
            [sys.executable, "-m", "simulation.replay", "2"],
            cwd=TESTS,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{TESTS}:{SUPPORT}"},
            capture_output=True,
            check=True,
            timeout=120,
        ).stdout
        for hash_seed in ("1", "2")
    )
    assert first == second
    assert int(first.split()[0]) > 100, "too little happened"
