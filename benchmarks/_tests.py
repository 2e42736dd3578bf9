"""What the tests have and benchmarks need too: it is not installed, so it is found by its place."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path += [str(TESTS.parent), str(TESTS / "support")]

from rig import ScriptedRunner  # noqa: E402 - found by the path

__all__ = ["ScriptedRunner"]
