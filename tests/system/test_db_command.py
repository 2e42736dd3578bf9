"""`mission-control db`: the schema and the health of a home's database, with no sidecar needed."""

from __future__ import annotations

import csv
import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mission_control.cli import main
from mission_control.storage import hold_home, known_migrations, migrate, open_writer
from mission_control.storage.schema import EXPORTED
from system_command import COMMAND, Ended, environment, run, sidecar

KNOWN = known_migrations()
NAMES = [step.name for step in KNOWN]
LAST = NAMES[-1]

pytestmark = pytest.mark.timeout(120)
slow = pytest.mark.slow


def ask(home: Path, *arguments: str) -> Ended:
    """Run a command that starts nothing, in this process."""
    found = CliRunner().invoke(main, ["--home", str(home), *arguments])
    return Ended(found.exit_code, found.stdout, found.stderr)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose database is at the newest schema."""
    place = tmp_path / "home"
    place.mkdir(mode=0o700)
    with closing(open_writer(_database(place))) as connection:
        migrate(connection)
    return place


def _database(home: Path) -> Path:
    return home / "mission-control.db"


def _states(home: Path) -> list[str]:
    return [each["state"] for each in ask(home, "--json", "db", "status").json["migrations"]]


def _backups(home: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(home, "--json", "backup", "list").json["backups"]
    return found


def _files(home: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in home.iterdir() if each.is_file()}


def test_a_new_home_is_migrated_step_by_step_and_has_nothing_to_save(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert _states(home) == ["pending"] * len(KNOWN)
    assert not home.exists()
    assert ask(home, "db", "migrate", "--to", "1").words == f"applied {NAMES[0]}"
    assert _states(home) == ["applied"] + ["pending"] * (len(KNOWN) - 1)
    ask(home, "db", "migrate")
    assert _states(home) == ["applied"] * len(KNOWN)
    assert ask(home, "db", "migrate").words == "nothing to do"
    assert ask(home, "--json", "db", "migrate").json == {"applied": [], "backup": None}


@slow
def test_status_tells_all_of_each_migration(home: Path) -> None:
    shown = ask(home, "--json", "db", "status").json
    assert shown["database"] == str(_database(home))
    assert shown["problem"] is None
    for each, step in zip(shown["migrations"], KNOWN, strict=True):
        assert each["applied_at"].endswith("+00:00")
        del each["applied_at"]
        assert each == {
            "number": step.number,
            "name": step.name,
            "description": step.description,
            "state": "applied",
            "checksum": "ok",
        }
    words = run(home, "db", "status").words
    assert all(name in words for name in NAMES)


@slow
def test_a_step_back_and_forth_is_made_with_a_verified_backup_before_each(home: Path) -> None:
    back = ask(home, "--json", "db", "rollback").json
    assert back["undone"] == [LAST]
    assert _states(home)[-1] == "pending"
    forth = ask(home, "db", "migrate").words
    backups = _backups(home)
    assert [each["reason"] for each in backups] == ["before-migration"] * len(backups)
    assert backups[0]["id"] == back["backup"]
    if len(KNOWN) > 1:
        assert forth == f"made backup {backups[1]['id']}\napplied {LAST}"
    for each in backups:
        ask(home, "backup", "verify", each["id"]).words  # noqa: B018 - asserts that it went well
    assert ask(home, "db", "check").words == "the database is sound"


def test_the_room_of_what_was_removed_is_given_back_after_a_backup(home: Path) -> None:
    with closing(open_writer(_database(home))) as connection:
        connection.execute("INSERT INTO souls VALUES('shuri', ?, 1, 1)", ["x" * 1_000_000])
        connection.execute("INSERT INTO souls VALUES('griot', 'stays', 1, 1)")
        connection.execute("DELETE FROM souls WHERE id = 'shuri'")
    before = _database(home).stat().st_size
    done = ask(home, "--json", "db", "compact").json
    assert done["before"] == before
    assert done["after"] == _database(home).stat().st_size < before - 900_000
    (saved,) = _backups(home)
    assert (saved["id"], saved["reason"]) == (done["backup"], "before-compact")
    with closing(open_writer(_database(home))) as connection:
        assert connection.execute("SELECT id FROM souls").fetchall() == [("griot",)]
    again = ask(home, "db", "compact").words
    assert again.endswith(" now")
    assert again.startswith("made backup ")


def test_a_database_in_use_or_not_there_is_not_compacted(home: Path, tmp_path: Path) -> None:
    before = _database(home).read_bytes()
    with hold_home(home / "mission-control.lock"):
        assert ask(home, "db", "compact").code == 75
    assert _database(home).read_bytes() == before
    assert ask(tmp_path / "elsewhere", "db", "compact").code == 66
    assert not (tmp_path / "elsewhere").exists()


@slow
def test_a_start_of_the_sidecar_saves_what_it_is_about_to_migrate(home: Path) -> None:
    with closing(open_writer(_database(home))) as connection:
        connection.execute("INSERT INTO souls VALUES('shuri', '', 1, 1)")
    ask(home, "db", "rollback")
    assert len(_backups(home)) == 1
    with sidecar(home):
        pass
    assert _states(home) == ["applied"] * len(KNOWN)
    # Where the first step was undone, nothing was left to be saved.
    assert len(_backups(home)) == (2 if len(KNOWN) > 1 else 1)


@slow
def test_the_start_of_a_new_home_saves_nothing(tmp_path: Path) -> None:
    with sidecar(tmp_path / "home") as running:
        assert _states(running.home) == ["applied"] * len(KNOWN)
        assert _backups(running.home) == []


@slow
def test_a_running_sidecar_is_named_and_only_looked_at(tmp_path: Path) -> None:
    with sidecar(tmp_path / "home") as running:
        for command in (("migrate",), ("rollback",), ("rollback", "--steps", "1")):
            refusal = running.run("db", *command).refusal
            assert f"in use by mission-control, pid {running.process.pid}" in refusal
        assert _states(running.home) == ["applied"] * len(KNOWN)
        assert running.do("db", "check") == "the database is sound"
        assert running.do("db", "migrate", "--dry-run") == "nothing to do"
        assert running.run("--json", "db", "rollback", "--dry-run").json["steps"] == [LAST]
        assert running.do("project", "init", "still here") == "still-here"


def test_a_dry_run_shows_the_difference_and_changes_nothing(home: Path) -> None:
    before = _database(home).read_bytes()
    back = ("db", "rollback", "--dry-run", "--steps", str(len(KNOWN)))
    found = ask(home, "--json", *back).json
    steps = [step.name for step in reversed(KNOWN)]
    assert found["steps"] == steps
    assert found["difference"].startswith("--- before\n+++ after\n")
    assert found["restored"] is True
    words = ask(home, *back).words
    assert words.startswith("".join(f"would do {name}\n" for name in steps) + "--- before\n")
    assert words.endswith("the way back leads to the same schema")
    assert ask(home, "db", "migrate", "--dry-run").words == "nothing to do"
    assert _database(home).read_bytes() == before
    assert not (home / "backups").exists()


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (("migrate", "--to", "99"), 64, "there is no migration 99"),
        (("rollback", "--steps", "99"), 64, "cannot undo 99 migrations"),
        (("create", "Bad Name"), 64, "'Bad Name' is no name for a migration"),
        (("create", "fine", "--folder", "/nowhere/at/all"), 66, "there is no folder /nowhere"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    home: Path, command: tuple[str, ...], code: int, says: str
) -> None:
    before = _database(home).read_bytes()
    ended = ask(home, "db", *command)
    assert says in ended.refusal
    assert ended.code == code
    assert _database(home).read_bytes() == before
    assert not (home / "backups").exists()


@pytest.mark.parametrize("command", [("migrate", "--to", "0"), ("rollback", "--steps", "x")])
def test_a_number_that_is_none_is_a_wrong_use(home: Path, command: tuple[str, ...]) -> None:
    assert ask(home, "db", *command).code == 2


@pytest.mark.parametrize("command", ["rollback", "check"])
def test_a_home_without_a_database_is_not_made_into_one(tmp_path: Path, command: str) -> None:
    ended = ask(tmp_path / "typo", "db", command)
    assert "there is no database" in ended.refusal
    assert ended.code == 66
    assert list(tmp_path.iterdir()) == []


def _spoil(home: Path, *statements: str) -> None:
    with closing(sqlite3.connect(_database(home), isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE migrations SET checksum = 'x'", "was changed after it had been applied"),
        (
            "INSERT INTO _sqlite_migrations(migration_set, name)"
            " VALUES('mission_control', 'm9999_future')",
            "newer than this program (it has m9999_future): upgrade",
        ),
        ("PRAGMA application_id=77", "belongs to another program: move it away"),
    ],
)
def test_a_database_that_does_not_fit_is_refused_and_left_as_it_was(
    home: Path, statement: str, says: str
) -> None:
    _spoil(home, statement)
    before = _database(home).read_bytes()
    for command in (("db", "migrate"), ("db", "rollback"), ("db", "migrate", "--dry-run")):
        ended = ask(home, *command)
        assert says in ended.refusal
        assert ended.code == 75
    checked = ask(home, "db", "check")
    assert (checked.code, checked.err) == (1, "")
    assert says in checked.out
    assert _database(home).read_bytes() == before
    assert not (home / "backups").exists()


@slow
def test_a_sidecar_does_not_start_on_what_does_not_fit(home: Path) -> None:
    _spoil(home, "UPDATE migrations SET checksum = 'x'")
    before = _database(home).read_bytes()
    refusal = run(home, "run", "--port", "0").refusal
    assert "was changed after it had been applied" in refusal
    assert _database(home).read_bytes() == before
    assert not (home / "backups" / "mission-control").exists()


def test_a_file_that_is_no_database_is_refused_by_every_command(home: Path) -> None:
    _database(home).write_bytes(b"no database at all " * 100)
    for command in ("status", "migrate", "rollback"):
        assert "file is not a database" in ask(home, "db", command).refusal
    assert ask(home, "db", "check").out == "cannot be read: file is not a database\n"
    assert _database(home).read_bytes() == b"no database at all " * 100


def test_findings_are_told_a_line_each_and_as_json(home: Path) -> None:
    assert ask(home, "--json", "db", "check").json == {"ok": True, "findings": []}
    _spoil(home, "DROP INDEX tasks_board", "INSERT INTO souls VALUES('shuri', '', 1, 1)")
    lines = [
        "schema: tasks_board is missing",
        "replay: souls shuri is in no change of the log",
    ]
    found = ask(home, "db", "check")
    assert (found.code, found.out.splitlines(), found.err) == (1, lines, "")
    found = ask(home, "--json", "db", "check")
    assert found.code == 1
    assert Ended(0, found.out, found.err).json == {"ok": False, "findings": lines}


def test_a_restore_that_was_interrupted_is_told_of(home: Path) -> None:
    assert ask(home, "--json", "db", "status").json["restoring"] is False
    (home / "mission-control.restoring").touch()
    assert ask(home, "--json", "db", "status").json["restoring"] is True
    assert "a restore was interrupted" in ask(home, "db", "status").words
    found = ask(home, "db", "check")
    assert (found.code, "a restore was interrupted" in found.out) == (1, True)


@slow
def test_of_two_commands_at_once_each_step_is_done_by_one(home: Path) -> None:
    ask(home, "db", "rollback")
    racers = [
        subprocess.Popen(
            [COMMAND, "--home", home, "db", "migrate"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        for _ in range(2)
    ]
    ends = [(racer.communicate(timeout=60), racer.returncode) for racer in racers]
    done = [out for (out, _), code in ends if code == 0]
    assert sum(f"applied {LAST}" in out for out in done) == 1
    for (out, err), code in ends:
        assert code in (0, 75), err
        assert code == 0 or "is in use by" in err, err
        assert code == 75 or out.splitlines()[-1] in (f"applied {LAST}", "nothing to do")
    assert _states(home) == ["applied"] * len(KNOWN)


def test_a_held_home_is_refused_before_anything_is_read(home: Path) -> None:
    with hold_home(home / "mission-control.lock"):
        before = _files(home)
        assert "is in use by mission-control, pid" in ask(home, "db", "migrate").refusal
        assert _files(home) == before


def test_the_file_of_the_next_migration_is_written_where_it_is_wanted(tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    folder.mkdir()
    home = tmp_path / "home"
    made = ask(home, "db", "create", "add_estimates", "--folder", str(folder)).words
    assert made == str(folder / "m0001_add_estimates.py")
    shown = ask(home, "--json", "db", "create", "more", "--folder", str(folder)).json
    assert shown == {"path": str(folder / "m0002_more.py")}
    again = ask(home, "db", "create", "more", "--folder", str(folder))
    assert "choose another name" in again.refusal
    assert not home.exists()


def test_the_rows_of_a_table_are_written_as_lines_of_json_or_csv(home: Path) -> None:
    with closing(open_writer(_database(home))) as connection:
        connection.execute(
            "INSERT INTO souls(id, sha256, created_at, version)"
            " VALUES('shuri', 'ß, \"quoted\"', 1, 2), ('griot', 'x', 3, 4)"
        )
    lines = ask(home, "db", "export", "souls").out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["griot", "shuri"]
    table = list(
        csv.DictReader(ask(home, "db", "export", "souls", "--format", "csv").out.splitlines())
    )
    assert [row["sha256"] for row in table] == ["x", 'ß, "quoted"']
    assert ask(home, "db", "export", "tasks", "--format", "csv").out == ""


def test_only_tables_that_there_are_can_be_exported(home: Path) -> None:
    refusal = ask(home, "db", "export", "secrets")
    assert (refusal.code, refusal.out) == (2, "")
    assert "'task_events'" in refusal.err
    assert ask(home / "elsewhere", "db", "export", "tasks").code == 66


def test_what_every_exported_table_holds_can_be_read(home: Path) -> None:
    for table in EXPORTED:
        assert ask(home, "db", "export", table).code == 0
