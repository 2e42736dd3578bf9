"""What a command is found to need, before anything is started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mission_control.actors._reach import installation, interpreter, ourselves, program, reach


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder of programs: a script for `runs`, which is a link into another installation."""
    own, other = tmp_path / "own" / "bin", tmp_path / "other" / "bin"
    for folder in (own, other, tmp_path / "other" / "lib", tmp_path / "other" / "share"):
        folder.mkdir(parents=True)
    (own / "script").write_text("#!/usr/bin/env runs\n")
    (other / "runs").write_bytes(b"\x7fELF")
    (own / "runs").symlink_to("../../other/bin/runs")
    for file in (own / "script", other / "runs"):
        file.chmod(0o755)
    return own


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"#!/bin/sh\necho", "/bin/sh"),
        (b"#! /usr/bin/python3 -I\n", "/usr/bin/python3"),
        (b"#!/usr/bin/env node\n", "node"),
        (b"#!/usr/bin/env -S A=b node --x\n", "node"),
        (b"#!/usr/bin/env\n", ""),
        (b"#!\n", ""),
        (b"\x7fELF", ""),
        (b"", ""),
    ],
)
def test_the_interpreter_of_a_script_is_read_from_its_first_line(head: bytes, found: str) -> None:
    assert interpreter(head) == found


def test_a_program_is_followed_through_its_interpreter_and_its_links(tools: Path) -> None:
    found = {path.resolve() for path in program("script", str(tools))}
    root = tools.parent.parent
    assert {tools, root / "other" / "bin", root / "other" / "lib"} <= found
    assert root / "other" / "share" not in found


def test_what_is_no_program_needs_nothing(tools: Path) -> None:
    assert list(program("no-such", str(tools))) == []
    (tools / "turns").symlink_to("turns")
    assert list(program("turns", str(tools))) == []


def test_libraries_are_looked_for_beside_folders_of_programs_only() -> None:
    assert Path("/x/lib") in installation(Path("/x/bin"))
    assert list(installation(Path("/x/tools"))) == [Path("/x/tools")]
    assert Path("/x/share") not in installation(Path("/x/bin"))


def test_what_is_chosen_by_a_version_manager_is_in_reach() -> None:
    assert Path("/u/.pyenv") in installation(Path("/u/.pyenv/shims"))
    assert Path("/u/.rustup") in installation(Path("/u/.cargo/bin"))
    assert Path("/u/.cargo") not in installation(Path("/u/.cargo/bin"))


def test_the_users_home_is_never_in_reach_as_a_whole(tools: Path, tmp_path: Path) -> None:
    user = tmp_path / "own"
    environ = {"HOME": str(user), "PATH": f"{user}:{tools}:.:relative"}
    command = ["script", str(user), str(tmp_path), "/", str(tools / "script"), "/no/such/file"]
    found = reach(command, environ)
    assert tools in found
    assert tools / "script" in found
    assert not {user, tmp_path, Path("/"), Path()} & set(found)
    assert all(path.is_absolute() and path.exists() for path in found)


def test_this_program_is_in_reach_for_agents_use_its_command_line() -> None:
    found = set(ourselves())
    assert Path(sys.prefix) in found
    assert Path(__file__).parent.parent.parent / "actors" in found


def test_the_users_home_is_not_in_reach_by_another_name_either(tmp_path: Path) -> None:
    user, other = tmp_path / "user", tmp_path / "other"
    (user / ".ssh").mkdir(parents=True)
    (user / "tools").mkdir()
    other.symlink_to(user)
    words = [str(place) for home in (user, other) for place in (home, home / ".ssh")]
    wanted = str(other / "tools")
    for home in (user, other):
        environ = {"HOME": str(home), "PATH": f"{user}:{other}"}
        found = set(reach(["sh", *words, wanted], environ))
        assert {path for path in found if path.is_relative_to(tmp_path)} == {other / "tools"}
