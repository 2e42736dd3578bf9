"""`mission-control demo`, as a person runs it."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mission_control.demo._plot import CARDS
from mission_control.storage import Reads, TaskStatus
from system_processes import workers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

COMMAND = (sys.executable, "-m", "mission_control", "demo", "--home")


def test_the_demo_does_all_its_tasks_and_leaves_no_process_behind(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = subprocess.run([*COMMAND, str(home)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert workers(home) == {}
    tasks = Reads(home / "mission-control.db").board("vidsnap")
    assert [task.status for task in tasks] == [TaskStatus.DONE] * len(CARDS)
    assert "failed: exit code 1: Traceback: the build tool fell over" in done.stdout
    assert re.search(r"aborted: silent for [\d.]+ s", done.stdout)
    assert "answered by operator: Keep the second one" in done.stdout
    scope = home / "projects" / "vidsnap"
    for path in (scope / "KANBAN.md", scope / "CHRONICLE.md", home / "mission-control.db"):
        assert str(path) in done.stdout
        assert path.exists()
    assert "\x1b[" not in done.stdout, "plain lines where there is no terminal"


def test_a_task_that_does_not_end_as_it_should_is_told_and_fails_the_demo(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    # With a single try, the crash goes to the human, who should have been asked only once.
    (home / "mission-control.toml").write_text(
        "[listen]\nport = 0\n[process]\ngrace_s = 0.5\n[pulse]\nmax_retries = 1\n"
        "interval_s = 2.0\ndeadman_s = 6.0\nretry_delay_s = 0.2\n"
    )
    done = subprocess.run([*COMMAND, str(home)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "one question should have been answered, not 3" in done.stderr


def test_on_a_terminal_the_board_is_drawn_live(tmp_path: Path) -> None:
    near, far = pty.openpty()
    with subprocess.Popen([*COMMAND, str(tmp_path / "home")], stdout=far, stderr=far) as process:
        os.close(far)
        seen = b""
        try:
            while chunk := os.read(near, 65536):
                seen += chunk
        except OSError:
            pass  # how Linux says that the other end was closed
    os.close(near)
    assert process.returncode == 0
    text = seen.decode(errors="replace")
    assert "thoughts" in text
    assert text.count("board of vidsnap") > 5
