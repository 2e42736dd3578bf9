"""Migrations that are killed, and migrations that race: always one whole step, never two mixed.

The programs are `schema_kills` and `schema_races`, in processes of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def _answer_of(program: str, folder: Path) -> Any:
    done = subprocess.run(
        [sys.executable, SUPPORT / f"{program}.py", folder],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(SUPPORT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


def test_a_migration_that_is_killed_leaves_a_whole_step_and_is_finished_by_the_next_run(
    tmp_path: Path,
) -> None:
    left_at = _answer_of("schema_kills", tmp_path)
    for direction in ("up", "down"):
        # Killed before the first step, inside each, and after the last: every one was met.
        assert len(left_at[direction]) >= 3
        assert sum(left_at[direction].values()) >= 60


def test_of_programs_that_migrate_at_once_each_step_is_done_by_one(tmp_path: Path) -> None:
    refusals = _answer_of("schema_races", tmp_path)
    assert set(refusals) <= {"refused: database is locked"}
