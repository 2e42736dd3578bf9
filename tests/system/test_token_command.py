"""`mission-control token …`, in processes of its own, by the Unix socket."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from system_command import Sidecar, run, sidecar

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("token") / "home") as found:
        yield found


def test_a_token_is_made_used_rotated_and_revoked(running: Sidecar, tmp_path: Path) -> None:
    file = tmp_path / "ci.token"
    running.do("token", "create", "ci", "--scope", "read", "--out", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first = file.read_text().strip()
    assert running.run("project", "list", MISSION_CONTROL_TOKEN=first).code == 0
    refused = running.run("project", "init", "P", MISSION_CONTROL_TOKEN=first)
    assert "this needs operator.write" in refused.refusal

    second = running.do("token", "rotate", "ci")
    assert "wrong token" in running.run("status", MISSION_CONTROL_TOKEN=first).refusal
    assert running.run("status", MISSION_CONTROL_TOKEN=second).code == 0

    listed = running.do("token", "list")
    assert "operator" in listed
    assert "ci" in listed
    assert first not in listed
    assert second not in listed
    running.do("token", "revoke", "ci")
    assert "wrong token" in running.run("status", MISSION_CONTROL_TOKEN=second).refusal


def test_the_operators_token_is_replaced_and_the_command_goes_on(running: Sidecar) -> None:
    path = running.home / "mission-control.token"
    before = path.read_text()
    assert "mission-control.token" in running.do("token", "rotate", "operator")
    assert path.read_text() != before
    assert running.run("status").code == 0


def test_a_file_that_is_there_is_not_written_over_and_no_token_is_made(
    running: Sidecar, tmp_path: Path
) -> None:
    file = tmp_path / "kept"
    file.write_text("mine")
    refused = running.run("token", "create", "other", "--out", str(file)).refusal
    assert "exists: name a new file" in refused
    assert file.read_text() == "mine"
    assert "other" not in running.do("token", "list")
    new = tmp_path / "new"
    assert "wrong" not in running.run("token", "rotate", "nobody", "--out", str(new)).refusal
    assert not new.exists()
    assert "leave --out away" in running.run("token", "rotate", "operator", "--out", "x").refusal


def test_the_command_takes_the_socket_where_there_is_one(running: Sidecar) -> None:
    announced = json.loads((running.home / "mission-control.endpoint").read_text())
    assert Path(announced["socket"]).is_socket()
    nobody = {**announced, "url": "http://127.0.0.1:9"}
    path = running.home / "mission-control.endpoint"
    path.write_text(json.dumps(nobody))
    try:
        assert running.run("status").code == 0
        path.write_text(json.dumps({**nobody, "socket": None}))
        assert "no sidecar answers at" in running.run("status").refusal
    finally:
        path.write_text(json.dumps(announced))


def test_a_sidecar_that_was_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with sidecar(home) as killed:
        killed.process.kill()
        killed.process.wait()
    assert (home / "mission-control.run" / "rpc.sock").is_socket()
    with sidecar(home) as next_:
        assert next_.run("status").code == 0
        assert next_.stop().code == 0
    assert not (home / "mission-control.run" / "rpc.sock").exists()


def test_one_may_do_without_the_socket(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with sidecar(home, MISSION_CONTROL_LISTEN_SOCKET="false") as alone:
        assert not (home / "mission-control.run").exists()
        assert alone.run("status").code == 0


def test_no_argument_of_a_command_is_a_token() -> None:
    help_ = run(Path("nowhere"), "token", "--help").words
    assert "--token " not in help_
