"""The Unix socket: whose it is, and what becomes of the one before."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
import trio

from mission_control.gateway_bridge import SocketInUse, connect, open_local, short_name
from mission_control.gateway_bridge._local_socket import MAX_NAME_BYTES
from mission_control.gateway_bridge._peer import may_ask, may_be_told, uid_of_peer
from mission_control.storage import Forbidden, Unavailable


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def leave_a_dead_one(path: Path) -> None:
    """Leave the socket of a sidecar that was killed."""
    with open_local(path), short_name(path) as name:
        path.rename(path.with_name("kept"))
        assert name
    path.with_name("kept").rename(path)
    assert stat.S_ISSOCK(path.lstat().st_mode)


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client, short_name(path) as name:
        return client.connect_ex(name) == 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "rpc.sock"


def test_it_is_for_its_owner_only_and_goes_with_its_listener(path: Path) -> None:
    with open_local(path):
        assert (mode(path.parent), mode(path)) == (0o700, 0o600)
        assert answers(path)
    assert not path.exists()


def test_a_folder_that_others_may_enter_is_closed_to_them(path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o755)
    with open_local(path):
        assert mode(path.parent) == 0o700


def test_the_socket_of_a_dead_sidecar_is_replaced(path: Path) -> None:
    leave_a_dead_one(path)
    assert not answers(path)
    with open_local(path):
        assert answers(path)


def test_one_that_is_alive_is_left_alone(path: Path) -> None:
    with open_local(path):
        with pytest.raises(SocketInUse, match="another program listens"), open_local(path):
            pass
        assert answers(path)


def test_one_that_is_alive_and_too_busy_to_answer_is_left_alone(path: Path) -> None:
    with open_local(path) as listening, short_name(path) as name:
        listening.listen(0)
        clients = [socket.socket(socket.AF_UNIX) for _ in range(10)]
        try:
            for client in clients:
                client.settimeout(0)
                client.connect_ex(name)
            with pytest.raises(SocketInUse), open_local(path):
                pass
        finally:
            for client in clients:
                client.close()


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_what_is_no_socket_is_not_removed(path: Path, what: str) -> None:
    path.parent.mkdir(mode=0o700)
    match what:
        case "file":
            path.write_text("mine")
        case "folder":
            path.mkdir()
        case _:
            path.symlink_to("/dev/null")
    with pytest.raises(SocketInUse, match="is no socket"), open_local(path):
        pass
    assert path.is_symlink() or path.exists()


def test_a_folder_that_is_a_link_is_not_used(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    path.parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SocketInUse, match="not a folder of yours"), open_local(path):
        pass
    assert mode(tmp_path / "elsewhere") == 0o755


def test_where_none_can_be_made_it_is_said_how_to_do_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    missing = tmp_path / "missing" / "run" / "rpc.sock"
    with pytest.raises(Unavailable, match=r"listen\.socket = false"), open_local(missing):
        pass


def test_one_that_somebody_else_put_there_meanwhile_is_not_removed(path: Path) -> None:
    with open_local(path):
        path.unlink()
        path.write_text("theirs")
    assert path.read_text() == "theirs"


@pytest.mark.parametrize("excess", [-1, 0, 1, 60])
def test_a_name_of_any_length_will_do(tmp_path: Path, excess: int) -> None:
    room = MAX_NAME_BYTES + excess - len(os.fsencode(tmp_path / "run" / "rpc.sock")) - 1
    folder = tmp_path / ("x" * max(room, 1))
    folder.mkdir()
    path = folder / "run" / "rpc.sock"
    with open_local(path):
        assert answers(path)
        with short_name(path) as name:
            assert len(os.fsencode(name)) <= MAX_NAME_BYTES
    assert not path.exists()


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert uid_of_peer(ours) == uid_of_peer(theirs) == os.geteuid()


def test_only_our_own_user_and_root_may_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert [uid for uid in (0, 1, 999, 1000, 1001) if may_ask(uid)] == [0, 1000]
    assert [uid for uid in (0, 1, 999, 1000, 1001) if may_be_told(uid)] == [0, 1000]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert may_be_told(1000)
    assert not may_ask(1000)


async def test_a_server_of_another_user_gets_no_token(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mission_control.gateway_bridge._client.may_be_told", lambda _: False)
    with open_local(path) as listening:
        with pytest.raises(Forbidden, match="it gets no token of yours"):
            async with connect(f"unix:{path}", "secret"):
                pass
        theirs, _ = await trio.socket.from_stdlib_socket(listening).accept()
        with theirs:
            assert await theirs.recv(100) == b""
