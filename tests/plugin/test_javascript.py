"""The plugin's own unit tests, which Node runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from openclaw_paths import find_openclaw


@pytest.mark.slow
@pytest.mark.openclaw
@pytest.mark.timeout(300)
def test_the_plugins_unit_tests_pass() -> None:
    files = sorted(path.name for path in Path(__file__).parent.glob("*.test.js"))
    assert files
    done = subprocess.run(
        [str(find_openclaw().node), "--test", "--test-timeout=120000", *files],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
