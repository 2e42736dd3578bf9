"""`mission-control backup …`, as people type it, beside a sidecar and without one."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mission_control.storage import US, WallClock
from mission_control.storage.backups import Backups
from system_command import COMMAND, Sidecar, environment, run, sidecar

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two backups, made while a sidecar ran, and a change after each."""
    home = tmp_path_factory.mktemp("backup") / "home"
    with sidecar(home) as running:
        _init(running, "one")
        running.do("backup", "create")
        _init(running, "two")
        running.do("backup", "create")
        _init(running, "three")
        (home / "cursor").write_text(running.call("mission.system.status")["cursor"])
        _init(running, "four")
        running.stop()
    return home


@pytest.fixture
def home(furnished: Path, tmp_path: Path) -> Path:
    """A copy of it, for each test."""
    copy = tmp_path / "home"
    shutil.copytree(furnished, copy)
    return copy


def _init(running: Sidecar, name: str) -> None:
    running.call("mission.project.init", project_name=name)


def _projects(home: Path) -> list[str]:
    """Return the projects that a sidecar finds on *home*, and sees that their boards are shown."""
    with sidecar(home) as running:
        found = [each["id"] for each in running.call("mission.project.list")["projects"]]
        running.stop()
    for each in found:
        assert each in (home / "projects" / each / "KANBAN.md").read_text()
    return found


def _list(home: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run(home, "--json", "backup", "list").json["backups"]
    return found


def test_backups_are_listed_in_words_and_as_json(home: Path) -> None:
    first, second = _list(home)
    words = run(home, "backup", "list").words
    for each in (first, second):
        assert each["id"] in words
        assert each["reason"] == "manual"
        assert each["verified"].endswith("Z")
        assert each["size"] > 100_000
        assert Path(each["folder"]).name == each["id"]
    assert first["seq"] < second["seq"]
    assert first["created_at"] <= second["created_at"]


def test_a_backup_is_made_without_a_sidecar_too(home: Path) -> None:
    lines = run(home, "backup", "create").words.splitlines()
    assert lines[0].startswith("copying the database: 100 %")
    assert "made and verified" in lines[-1]
    made = run(home, "--json", "backup", "create").json["backup"]
    assert [each["id"] for each in _list(home)][-1] == made["id"]


def test_a_terminal_shows_a_bar(home: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [COMMAND, "--home", str(home), "backup", "create"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        env=environment(TERM="xterm-256color"),
    ) as process:
        os.close(theirs)
        shown = _read_to_end(ours)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "copying the database" in shown
    assert "\x1b[" in shown
    assert len(out.splitlines()) == 1, out


def _read_to_end(descriptor: int) -> str:
    read = b""
    try:
        while chunk := os.read(descriptor, 65536):
            read += chunk
    except OSError:  # a pty's way to say that nobody writes any more
        pass
    os.close(descriptor)
    return read.decode()


def test_nothing_is_restored_beside_a_sidecar(home: Path) -> None:
    (first, _) = _list(home)
    with sidecar(home) as running:
        refusal = running.run("backup", "restore", first["id"])
        assert f"pid {running.process.pid}" in refusal.refusal
        assert refusal.code == 75
        assert len(running.call("mission.project.list")["projects"]) == 4


def test_a_restored_backup_is_what_the_next_sidecar_finds_and_can_be_undone(home: Path) -> None:
    (first, _) = _list(home)
    words = run(home, "backup", "restore", first["id"]).words
    assert first["id"] in words
    assert _projects(home) == ["one"]
    assert (home / "projects/two/KANBAN.md").exists(), "folders of unknown projects stay"
    (safety,) = [each for each in _list(home) if each["reason"] == "before-restore"]
    assert run(home, "--json", "backup", "restore", safety["id"]).json["restored"] == safety["id"]
    assert _projects(home) == ["four", "one", "three", "two"]


def test_a_moment_is_restored_by_its_cursor(home: Path) -> None:
    (_, second) = _list(home)
    cursor = (home / "cursor").read_text()
    done = run(home, "--json", "backup", "restore", "--at", cursor).json
    assert done["restored"] == second["id"]
    assert done["cursor"].partition(".")[2] == cursor.partition(".")[2]
    assert done["cursor"] != cursor
    assert _projects(home) == ["one", "three", "two"]


def test_a_moment_is_restored_by_its_time(home: Path) -> None:
    (first, second) = Backups(home, WallClock()).list()
    assert run(home, "backup", "restore", "--at", "2020-01-01").code == 66
    # A moment before the second backup: the first one, and what the log tells of the time between.
    before = datetime.fromtimestamp((second.created_at - 1) / US, UTC).isoformat()
    done = run(home, "--json", "backup", "restore", "--at", before).json
    assert done["restored"] == first.id
    assert _projects(home) == ["one", "two"]


def test_damage_is_found_and_told_in_one_line(home: Path) -> None:
    (first, second) = _list(home)
    assert run(home, "backup", "verify").words == f"backup {second['id']} is as it was written"
    assert len(run(home, "backup", "verify", "--all").words.splitlines()) == 2
    path = home / "backups/mission-control" / first["id"] / "mission-control.db"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    for command in (("verify", first["id"]), ("verify", "--all"), ("restore", first["id"])):
        ended = run(home, "backup", *command)
        assert "mission-control.db is damaged" in ended.refusal
        assert ended.code == 75
    assert [each["verified"] == "damaged" for each in _list(home)] == [True, False]


def test_prune_takes_its_numbers_from_the_settings(home: Path) -> None:
    assert run(home, "backup", "prune").words == "nothing to remove"
    found = run(home, "--json", "backup", "prune", "--keep-daily", "0", "--keep-weekly", "0").json
    assert found == {"removed": []}, "what was asked for stays for seven days"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("restore",), 64, "give the id of a backup"),
        (("restore", "x", "--at", "-1h"), 64, "give the id of a backup"),
        (("restore", "../../etc"), 64, "no id of a backup"),
        (("restore", "20260101T000000Z-abcdef"), 66, "there is no backup"),
        (("verify", "20260101T000000Z-abcdef"), 66, "there is no backup"),
        (("restore", "--at", "soon"), 64, "--at must be"),
        (("restore", "--at", "3000-01-01"), 64, "future"),
        (("restore", "--at", "0123456789ab.7"), 66, "no database here tells"),
    ],
)
def test_what_makes_no_sense_is_refused(
    home: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    ended = run(home, "backup", *arguments)
    assert words in ended.refusal
    assert ended.code == code


def test_an_empty_home_has_no_backups(tmp_path: Path) -> None:
    assert run(tmp_path, "backup", "list").words == "none"
    assert json.loads(run(tmp_path, "--json", "backup", "list").out) == {
        "backups": [],
        "unreadable": [],
    }
    assert "there is no backup" in run(tmp_path, "backup", "verify").refusal
    assert "nothing to back up" in run(tmp_path, "backup", "create").refusal
