"""Plants a fault in the product, or in a world: a law that did not notice would prove nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import world
from .climate import Climate
from .replacing import replacing
from .world import LawBroken, World

BUSY = Climate(deeds_s=400.0, faults_s=800.0)
SHORT_DAY_S = 8 * 3_600.0
MOST_WORLDS = 12


def law_broken(folder: Path, owner: Any, name: str, fault: Any) -> str:
    """Return which law is broken in the first of some worlds in which *fault* is planted."""
    for seed in range(MOST_WORLDS):
        with replacing(world, "DAY_S", SHORT_DAY_S), replacing(owner, name, fault):
            try:
                World(seed, folder / str(seed), BUSY).run()
            except LawBroken as broken:
                return str(broken)
    return "none"
