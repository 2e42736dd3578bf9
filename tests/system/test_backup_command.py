"""`mission-control backup …`, as people type it, beside a sidecar and without one."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mission_control.cli import main
from mission_control.storage import US, WallClock, open_reader
from mission_control.storage.backups import Backups
from system_command import COMMAND, Ended, Sidecar, environment, run, sidecar

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def ask(home: Path, *arguments: str) -> Ended:
    """Run a command that starts nothing, in this process."""
    found = CliRunner().invoke(main, ["--home", str(home), *arguments])
    return Ended(found.exit_code, found.stdout, found.stderr)


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two backups, made while a sidecar ran, and a change after each."""
    home = tmp_path_factory.mktemp("backup") / "home"
    with sidecar(home) as running:
        _init(running, "one")
        assert "made and verified" in running.run("backup", "create").out
        _init(running, "two")
        assert ask(home, "backup", "create").code == 0
        _init(running, "three")
        (home / "cursor").write_text(_call(running, "mission.system.status")["cursor"])
        _init(running, "four")
        running.stop()
    return home


@pytest.fixture
def home(furnished: Path, tmp_path: Path) -> Path:
    """A copy of it, for each test."""
    copy = tmp_path / "home"
    shutil.copytree(furnished, copy)
    return copy


def _call(running: Sidecar, method: str, **params: object) -> Any:
    return ask(running.home, "call", method, json.dumps(params)).json


def _init(running: Sidecar, name: str) -> None:
    _call(running, "mission.project.init", project_name=name)


def _projects(home: Path) -> list[str]:
    with closing(open_reader(home / "mission-control.db")) as connection:
        return [id_ for (id_,) in connection.execute("SELECT id FROM projects ORDER BY id")]


def _list(home: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(home, "--json", "backup", "list").json["backups"]
    return found


def test_backups_are_listed_in_words_and_as_json(home: Path) -> None:
    first, second = _list(home)
    words = run(home, "backup", "list", COLUMNS="40").words
    for each, line in zip((first, second), words.splitlines()[1:], strict=True):
        assert line.split()[0] == each["id"], "to be copied, so never broken"
        assert each["reason"] == "manual"
        assert each["verified"].endswith("Z")
        assert each["size"] > 100_000
        assert Path(each["folder"]).name == each["id"]
    assert first["seq"] < second["seq"]
    assert first["created_at"] <= second["created_at"]


def test_a_backup_is_made_without_a_sidecar_too(home: Path) -> None:
    ended = ask(home, "backup", "create")
    assert ended.err.startswith("copying the database: 100 %")
    assert "made and verified" in ended.out
    assert len(ended.out.splitlines()) == 1
    made = ask(home, "--json", "backup", "create").json["backup"]
    assert [each["id"] for each in _list(home)][-1] == made["id"]


def test_what_restores_have_left_is_listed(home: Path) -> None:
    first, _ = _list(home)
    (home / "mission-control.db").write_bytes(b"damaged")
    kept = ask(home, "--json", "backup", "restore", first["id"]).json["replaced_kept_in"]
    (home / "mission-control.restoring").touch()
    words = ask(home, "backup", "list").words
    assert f"{kept} holds a damaged database" in words
    assert "a restore was interrupted" in words


def test_names_that_are_no_text_can_be_shown(home: Path) -> None:
    (home / os.fsdecode(b"projects/one/daily/x\xff.md")).symlink_to("nowhere")
    strict = {"PYTHONIOENCODING": "utf-8:strict"}
    made = run(home, "--json", "backup", "create", **strict).json["backup"]
    assert made["skipped"] == ["projects/one/daily/x\\xff.md: a link"]


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


def test_a_restored_backup_is_what_the_next_sidecar_finds_and_keeps(home: Path) -> None:
    first, second = _list(home)
    assert first["id"] in ask(home, "backup", "restore", first["id"]).out
    with sidecar(home) as running:
        found = _call(running, "mission.project.list")["projects"]
        assert [each["id"] for each in found] == ["one"]
        assert "one" in (home / "projects/one/KANBAN.md").read_text()
        assert (home / "projects/two/KANBAN.md").exists(), "folders of unknown projects stay"
        # Nothing is restored beside it.
        refusal = ask(home, "backup", "restore", second["id"])
        assert f"pid {running.process.pid}" in refusal.refusal
        assert refusal.code == 75
        assert _projects(home) == ["one"]
        running.stop()


def test_a_restore_can_be_undone(home: Path) -> None:
    first, _ = _list(home)
    ask(home, "--json", "backup", "restore", first["id"])
    assert _projects(home) == ["one"]
    (safety,) = [each for each in _list(home) if each["reason"] == "before-restore"]
    assert ask(home, "--json", "backup", "restore", safety["id"]).json["restored"] == safety["id"]
    assert _projects(home) == ["four", "one", "three", "two"]


def test_a_moment_is_restored_by_its_cursor(home: Path) -> None:
    (_, second) = _list(home)
    cursor = (home / "cursor").read_text()
    done = ask(home, "--json", "backup", "restore", "--at", cursor).json
    assert done["restored"] == second["id"]
    assert done["cursor"].partition(".")[2] == cursor.partition(".")[2]
    assert done["cursor"] != cursor
    assert _projects(home) == ["one", "three", "two"]


def test_a_moment_is_restored_by_its_time(home: Path) -> None:
    (first, second) = Backups(home, WallClock()).list()
    assert ask(home, "backup", "restore", "--at", "2020-01-01").code == 66
    # A moment before the second backup: the first one, and what the log tells of the time between.
    before = datetime.fromtimestamp((second.created_at - 1) / US, UTC).isoformat()
    done = ask(home, "--json", "backup", "restore", "--at", before).json
    assert done["restored"] == first.id
    assert _projects(home) == ["one", "two"]


def _damage(home: Path, backup: dict[str, Any]) -> None:
    path = home / "backups/mission-control" / backup["id"] / "mission-control.db"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_damage_is_found_and_told_in_one_line(home: Path) -> None:
    first, second = _list(home)
    assert ask(home, "backup", "verify").words == f"backup {second['id']} is as it was written"
    assert len(ask(home, "backup", "verify", "--all").words.splitlines()) == 2
    _damage(home, first)
    for command in ("verify", "restore"):
        ended = ask(home, "backup", command, first["id"])
        assert "mission-control.db is damaged" in ended.refusal
        assert ended.code == 75
    assert [each["verified"] == "damaged" for each in _list(home)] == [True, False]


def test_all_backups_are_verified_whatever_is_wrong_with_one(home: Path) -> None:
    first, second = _list(home)
    _damage(home, first)
    ended = ask(home, "backup", "verify", "--all")
    assert ended.code == 75
    assert ended.err == "mission-control: 1 of 2 backups cannot be restored\n"
    sound, damaged = ended.out.splitlines()
    assert sound == f"backup {second['id']} is as it was written"
    assert "mission-control.db is damaged" in damaged
    found = json.loads(ask(home, "--json", "backup", "verify", "--all").out)
    assert [each["id"] for each in found["backups"]] == [second["id"]]
    assert list(found["refused"]) == [first["id"]]


def test_prune_takes_its_numbers_from_the_settings(home: Path) -> None:
    assert ask(home, "backup", "prune").words == "nothing to remove"
    found = ask(home, "--json", "backup", "prune", "--keep-daily", "0", "--keep-weekly", "0").json
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
    ended = ask(home, "backup", *arguments)
    assert words in ended.refusal
    assert ended.code == code


def test_an_empty_home_has_no_backups(tmp_path: Path) -> None:
    assert ask(tmp_path, "backup", "list").words == "none"
    nothing = {"backups": [], "unreadable": [], "replaced": [], "restoring": False}
    assert ask(tmp_path, "--json", "backup", "list").json == nothing
    assert "there is no backup" in ask(tmp_path, "backup", "verify").refusal
    assert "nothing to back up" in ask(tmp_path, "backup", "create").refusal
    assert list(tmp_path.iterdir()) == []
