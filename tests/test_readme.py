"""README and docs are kept to their word: what they tell people to type, works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import click
import pytest

from mission_control.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
SHELL = [text for language, text in BLOCKS if language == "sh"]
LINES = [line for text in SHELL for line in text.splitlines() if line.strip()]
DOCS = [README, *(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))]
MINE = sorted(
    {
        line
        for text in DOCS
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
        if line.split() and line.split()[0].endswith("mission-control")
    }
)


def environment(home: Path) -> dict[str, str]:
    """As a user's, but on a home and a port of its own."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return os.environ | {
        "PATH": path,
        "MISSION_CONTROL_HOME": str(home),
        "MISSION_CONTROL_LISTEN_PORT": "0",
    }


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("make ")])
def test_make_knows_the_target(line: str) -> None:
    subprocess.run(
        ["make", "--dry-run", line.split()[1]], cwd=ROOT, check=True, capture_output=True
    )


@pytest.mark.parametrize("line", MINE)
def test_the_command_knows_the_words(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISSION_CONTROL_TASK_ID", "what an agent is given")
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = main
    context: click.Context | None = None
    while isinstance(command, click.Group):
        settings = command.context_settings
        context = click.Context(command, parent=context, info_name=command.name, **settings)
        found = command.get_command(context, words.pop(0))
        assert found is not None, f"there is no such command: {line}"
        command = found
    command.make_context(command.name, words, parent=context)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_block_for_a_bare_machine_does_what_it_says(tmp_path: Path) -> None:
    (begin,) = [text for text in SHELL if text.strip() == "mission-control run"]
    (block,) = [text for text in SHELL if text.startswith("mission-control project init")]
    (agent,) = [text for text in SHELL if text.startswith("# agent.sh")]
    home = tmp_path / "home"
    (home / "projects/vidsnap/src").mkdir(parents=True)
    (home / "projects/vidsnap/src/agent.sh").write_text(agent)
    (home / "projects").rename(home / "kept")
    with subprocess.Popen(
        shlex.split(begin), env=environment(home), stdout=subprocess.DEVNULL
    ) as sidecar:
        try:
            while not (home / "mission-control.endpoint").exists():
                assert sidecar.poll() is None
                time.sleep(0.05)  # as a user would, before the other shell
            script = block.replace(
                "mission-control agent create",
                f"cp {home}/kept/vidsnap/src/agent.sh {home}/projects/vidsnap/src/\n"
                "mission-control agent create",
            )
            done = subprocess.run(
                ["bash", "-euc", script],
                env=environment(home),
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert "Login page" in done.stdout
            kanban = home / "projects/vidsnap/KANBAN.md"
            deadline = time.monotonic() + 100
            while "- [x] **Login page**" not in kanban.read_text():
                assert time.monotonic() < deadline, kanban.read_text()
                time.sleep(0.1)  # as a user would look again
        finally:
            sidecar.terminate()
        assert sidecar.wait(60) == 0


@pytest.mark.slow
def test_the_lines_of_python_run(tmp_path: Path) -> None:
    (code,) = [text for language, text in BLOCKS if language == "python"]
    program = (
        "import trio, mission_control\nasync def main():\n"
        + textwrap.indent(code, "    ")
        + "trio.run(main)\n"
    )
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(tmp_path / "unused"),
        check=True,
        timeout=120,
    )
    assert "Login page" in (tmp_path / "factory/projects/vidsnap/KANBAN.md").read_text()
