"""A writer that is killed leaves the old file or the new one, and nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mission_control.storage.files import Limits, Projects, Quota, ScopedFiles, Workspace

from .conftest import AGENT

WRITER = """
import itertools, sys
from pathlib import Path
from mission_control.storage.files import *
access = AgentAccess("alpha", "coder")
with Projects(Path(sys.argv[1])) as projects, projects.open("alpha") as root:
    files = ScopedFiles(Workspace(root, Quota(Limits())), access)
    for letter in itertools.cycle(b"ab"):
        print(files.write("src/a", bytes([letter]) * 300_000).size, flush=True)
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_writer_leaves_a_whole_file_and_what_it_staged_is_swept(tmp_path: Path) -> None:
    (tmp_path / "alpha" / "src").mkdir(parents=True)
    for written in range(1, 5):
        command = [sys.executable, "-c", WRITER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(written):
                assert writer.stdout.readline() == b"300000\n"
            writer.send_signal(signal.SIGKILL)
        data = (tmp_path / "alpha" / "src" / "a").read_bytes()
        assert data in {b"a" * 300_000, b"b" * 300_000}
    with Projects(tmp_path) as projects, projects.open("alpha") as root:
        assert not list((tmp_path / ".staging").iterdir())
        files = ScopedFiles(Workspace(root, Quota(Limits())), AGENT)
        assert [entry.name for entry in files.list("src")] == ["a"]
