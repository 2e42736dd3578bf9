"""What the doctor sees on this host."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mission_control.actors import Home
from mission_control.doctor import Finding, Level, examine_gateway, examine_host, examine_sidecar
from mission_control.gateway_bridge import GatewayAddress, open_local
from mission_control.storage import ManualClock, migrate, open_writer
from mission_control.storage.backups import Backups


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.make()
    return home


def make_database(home: Home) -> None:
    connection = open_writer(home.database)
    migrate(connection)
    connection.close()


def found(home: Home, topic: str) -> Finding:
    (finding,) = [finding for finding in examine_host(home) if finding.topic == topic]
    return finding


def test_a_home_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    findings = list(examine_host(Home(tmp_path / "none")))
    assert [finding.topic for finding in findings] == ["program", "home"]
    assert all(finding.level in (Level.OK, Level.HINT) for finding in findings)


def test_a_sound_database_is_well(home: Home) -> None:
    make_database(home)
    assert found(home, "database").level is Level.OK
    assert found(home, "home").level is Level.OK


def test_a_home_that_is_open_to_others_is_warned_of(home: Home) -> None:
    home.path.chmod(0o755)
    finding = found(home, "home")
    assert finding.level is Level.WARNING
    assert finding.remedy == f"run 'chmod 700 {home.path}'"


def test_a_database_of_another_program_is_a_fault(home: Home) -> None:
    with closing(sqlite3.connect(home.database)) as other:
        other.execute("CREATE TABLE theirs(x)")
    finding = found(home, "database")
    assert finding.level is Level.FAULT
    assert "another program" in finding.text


def test_a_home_without_a_backup_is_told_how_to_make_one(home: Home) -> None:
    make_database(home)
    assert "backup create" in found(home, "backups").remedy
    made = Backups(home.path, ManualClock()).create()
    assert made.id in found(home, "backups").text


def test_a_restore_that_was_interrupted_is_told(home: Home) -> None:
    make_database(home)
    home.restoring.write_text("{}")
    assert found(home, "restore").level is Level.WARNING


def test_a_damaged_database_is_a_fault_that_names_the_way_out(home: Home) -> None:
    make_database(home)
    with home.database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    finding = found(home, "database")
    assert finding.level is Level.FAULT
    assert "backup" in finding.remedy


def test_a_file_that_is_no_database_is_a_fault(home: Home) -> None:
    home.database.write_bytes(b"not a database, but long enough to look at" * 100)
    assert found(home, "database").level is Level.FAULT


def test_secrets_that_others_may_read_are_told(home: Home) -> None:
    for path in (home.token, home.principals):
        path.write_text("t" * 43)
        path.chmod(0o600)
    assert not [f for f in examine_host(home) if f.topic == "secrets"]
    for path in (home.token, home.principals):
        path.chmod(0o644)
        finding = found(home, "secrets")
        assert finding.level is Level.WARNING
        assert f"chmod 600 {path}" in finding.remedy
        path.chmod(0o600)


def test_a_token_that_the_sidecar_will_not_use_is_told(home: Home) -> None:
    home.token.write_text("short")
    home.token.chmod(0o600)
    finding = found(home, "secrets")
    assert finding.level is Level.WARNING
    assert "5 characters" in finding.text


def test_the_ways_in_are_shown_with_their_modes(home: Home) -> None:
    home.token.write_text("t")
    home.token.chmod(0o600)
    with open_local(home.socket):
        finding = found(home, "access")
        assert finding.level is Level.OK
        assert "mission-control.token 0600" in finding.text
        assert "mission-control.run 0700, rpc.sock 0600" in finding.text
        home.socket.parent.chmod(0o755)
        finding = found(home, "access")
        assert finding.level is Level.WARNING
        assert "may enter" in finding.text


async def test_no_sidecar_is_a_hint(home: Home) -> None:
    (finding,) = await examine_sidecar(home)
    assert finding.level is Level.HINT


async def test_a_sidecar_that_announced_itself_and_is_gone_is_a_fault(home: Home) -> None:
    home.endpoint.write_text('{"url": "http://127.0.0.1:9", "pid": 1}')
    home.token.write_text("t")
    (finding,) = await examine_sidecar(home)
    assert finding.level is Level.FAULT
    assert "127.0.0.1:9" in finding.text


@pytest.mark.parametrize("announced", ["", "junk", "[]", '{"url": 3}', "null"])
async def test_an_announcement_that_cannot_be_read_is_no_crash(home: Home, announced: str) -> None:
    home.endpoint.write_text(announced)
    assert await examine_sidecar(home)


async def test_a_gateway_that_is_not_there_is_a_fault() -> None:
    (finding,) = await examine_gateway(
        GatewayAddress("ws://127.0.0.1:9/", "t"), "main", Path("/home")
    )
    assert finding.level is Level.FAULT
    assert "is it running?" in finding.text
