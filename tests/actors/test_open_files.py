"""The limit of open files: high for the sidecar, as it was for its commands."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator

import pytest

from mission_control.actors._open_files import MOST, OpenFiles

USUAL = 512


@pytest.fixture
def usual() -> Iterator[None]:
    """Lower the soft limit of this process, as shells and services are given it."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (USUAL, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def in_a_shell(first: str) -> str:
    command = ["/bin/sh", "-c", f"{first}ulimit -Sn"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.usefixtures("usual")
def test_we_may_open_more_and_a_shell_takes_it_back() -> None:
    files = OpenFiles()
    assert (files.lower(), in_a_shell("")) == ("", str(USUAL))
    for _ in range(2):  # the second time there is nothing to raise, and nothing is forgotten
        files.raise_limit()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert soft == min(hard, MOST) if hard != resource.RLIM_INFINITY else soft > USUAL
        assert in_a_shell("") == str(soft)
        assert in_a_shell(files.lower()) == str(USUAL)
