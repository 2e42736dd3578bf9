"""A day of work, with everything that can go wrong, for one seed after the other.

`make simulate` runs a thousand; `make simulate SEED=17` replays one, and leaves its journal.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .replay import LAWFUL
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


def replayed(*args: str) -> str:
    """Return what another process makes of a seed; it must be the same in any."""
    first, second = (
        subprocess.run(
            [sys.executable, "-m", "simulation.replay", *args],
            cwd=TESTS,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{TESTS}:{SUPPORT}"},
            capture_output=True,
            check=True,
            text=True,
            timeout=120,
        ).stdout
        for hash_seed in ("1", "2")
    )
    assert first == second
    return first


def test_a_seed_replays_to_the_byte_in_another_process() -> None:
    events, _, broken = replayed("2").split(maxsplit=2)
    assert int(events) > 100, "too little happened"
    assert broken == LAWFUL


def test_a_seed_that_fails_is_told_and_fails_alike_in_another_process() -> None:
    _, _, broken = replayed("2", "faulty").split(maxsplit=2)
    assert re.match("SEED=[0-9]+ (a turn was run twice|two attempts)", broken)
