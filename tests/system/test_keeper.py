"""The sidecar of a parent, in real processes: it is back at once, and ends with its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from system_command import COMMAND, environment

pytestmark = pytest.mark.slow

PATIENCE_S = 60.0
LISTENS = "mission control listens on "


@contextmanager
def started(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the sidecar as the plugin does; it listens."""
    with subprocess.Popen(
        [COMMAND, "--home", str(home), "run", "--until-eof", "--port", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        try:
            assert said(process).startswith(LISTENS)
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def announced(home: Path) -> Path:
    return home / "mission-control.endpoint"


def server(home: Path) -> int:
    return int(json.loads(announced(home).read_text())["pid"])


def until_gone(home: Path) -> None:
    """Wait until the sidecar has ended in order, and taken back what it announced."""
    deadline = time.monotonic() + PATIENCE_S
    while announced(home).exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # another process removes it


def test_a_sidecar_that_is_killed_is_back_without_its_parents_doing(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        killed = [process.pid]
        for _ in range(2):
            killed.append(server(tmp_path))
            os.kill(killed[-1], signal.SIGKILL)
            assert said(process).startswith(LISTENS)
        assert server(tmp_path) not in killed
        assert process.poll() is None


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0
        assert not announced(tmp_path).exists()


def test_it_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
        assert not announced(tmp_path).exists()


def test_it_does_not_outlive_who_keeps_it(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        process.kill()
        until_gone(tmp_path)
