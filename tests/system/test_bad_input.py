"""Whatever is wrong: one clear line with what to do, and nothing half-written."""

from __future__ import annotations

import http.server
import os
import shutil
import socket
import sqlite3
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trio
from gateway.fake_gateway import (  # type: ignore[import-not-found]  # to mypy it is in tests
    TOKEN,
    FakeGateway,
)

from mission_control.storage import migrate, open_writer
from system_command import COMMAND, Sidecar, environment, run, run_as, sidecar

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """One sidecar that lives through all that is done to it here."""
    with sidecar(tmp_path_factory.mktemp("bad-input") / "home") as found:
        assert found.do("project", "init", "P") == "p"
        found.do("agent", "create", "shuri:p", "--command", "true")
        yield found
        assert found.process.poll() is None
        assert found.call("mission.system.health")["ok"] is True
        assert found.stop().code == 0


def last_change(found: Sidecar) -> str:
    return str(found.call("mission.system.status")["cursor"])


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        ("task create nope x", 66, "there is no project 'nope'"),
        ("board nope", 66, "there is no project 'nope'"),
        ("events nope", 66, "there is no project 'nope'"),
        ("help list nope", 66, "there is no project 'nope'"),
        ("project init !!!", 64, "must have a letter or digit"),
        ("project init x --base nope", 66, "there is no project 'nope'"),
        ("task get nope", 66, "there is no task 'nope'"),
        ("task move nope done", 66, "there is no task 'nope'"),
        ("task create p x --soul nakia", 66, "(there: shuri); create it with mission.agent.create"),
        ("task create p x --depends-on nope", 66, "there is no task 'nope'"),
        ("task create p x --priority 9", 64, "1 (high) to 5 (low)"),
        ("task create p x --due-at soon", 64, "such as 2026-11-22T18:00:00Z"),
        ("agent create Shuri!:p", 64, "must be a slug such as 'shuri'"),
        ("agent create shuri", 64, "must be <soul>:<project>"),
        ("agent create shuri:p", 75, "exists already"),
        ("agent create okoye:p --interval-s 0", 64, "interval_s must be"),
        ("agent create okoye:p --soul-file /nowhere/SOUL.md", 64, "cannot read /nowhere/SOUL.md"),
        ("agent show okoye:p", 66, "there is no agent 'okoye:p'"),
        ("help answer nope yes", 66, "there is no helprequest 'nope'"),
        ("log hm --task nope", 66, "there is no task 'nope'"),
        ("call mission.nope", 64, "there is no method 'mission.nope'"),
        ("call mission.project.list {", 64, "PARAMS is not JSON"),
        ("call mission.project.list []", 64, "PARAMS must be a JSON object"),
        ('call mission.task.list {"project_id":"p","status":"ready"}', 64, "0 backlog, 1 in_progr"),
        ('call mission.task.list {"project":"p"}', 64, "unknown parameter 'project'; known are"),
    ],
)
def test_a_wrong_name_or_value_is_one_line_that_says_which(
    running: Sidecar, words: str, code: int, expected: str
) -> None:
    before = last_change(running)
    ended = running.run(*words.split(" "))
    assert expected in ended.refusal
    assert ended.code == code
    assert last_change(running) == before
    assert not (running.home / "souls/okoye").exists()


def test_a_status_that_is_none_is_refused_with_those_there_are(running: Sidecar) -> None:
    ended = running.run("task", "move", "any", "ready")
    assert ended.code == 2
    assert "'backlog', 'in_progress', 'done', 'blocked', 'archived'" in ended.err
    assert "Traceback" not in ended.err


def test_a_malformed_frame_is_answered_and_the_sidecar_goes_on(running: Sidecar) -> None:
    token = (running.home / "mission-control.token").read_text().strip()
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{running.url}/rpc", b"{", {"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        assert b'"code":-32700' in answer.read()


def test_a_wrong_token_is_refused_with_where_the_right_one_is(
    running: Sidecar, tmp_path: Path
) -> None:
    (tmp_path / "mission-control.token").write_text("wrong\n")
    ended = run(tmp_path, "--url", running.url, "project", "list")
    assert "use the content of mission-control.token" in ended.refusal
    assert ended.code == 77
    (tmp_path / "mission-control.token").write_bytes(b"\xff\xfe")
    assert run(tmp_path, "--url", running.url, "project", "list").code == 77
    (tmp_path / "mission-control.token").unlink()
    assert "cannot read the token" in run(tmp_path, "--url", running.url, "status").refusal


def test_a_second_sidecar_is_told_who_holds_the_home(running: Sidecar) -> None:
    ended = run(running.home, "run", "--port", "0")
    assert f"pid {running.process.pid}" in ended.refusal
    assert "stop it, or choose another --home" in ended.refusal
    assert ended.code == 75


@pytest.mark.parametrize("url", ["nowhere", "http://", "ftp://127.0.0.1:1", "http://127.0.0.1:x"])
def test_an_address_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    (tmp_path / "mission-control.token").write_text("x")
    ended = run(tmp_path, "--url", url, "status")
    assert "it is as http://127.0.0.1:18700" in ended.refusal
    assert ended.code == 64


def unused_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def test_where_no_sidecar_answers_it_says_how_to_start_one(tmp_path: Path) -> None:
    assert "start one with 'mission-control run'" in run(tmp_path, "status").refusal
    (tmp_path / "mission-control.token").write_text("x")
    port = unused_port()
    for text in (f'{{"url": "http://127.0.0.1:{port}", "pid": 1}}', "{", "[]", "{}"):
        (tmp_path / "mission-control.endpoint").write_text(text)  # as after a kill -9
        ended = run(tmp_path, "status")
        assert "start one with 'mission-control run'" in ended.refusal
        assert ended.code == 69


class NoSidecar(http.server.BaseHTTPRequestHandler):
    """Some other program that speaks HTTP."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def test_who_answers_and_is_no_sidecar_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "mission-control.token").write_text("x")
    with http.server.HTTPServer(("127.0.0.1", 0), NoSidecar) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            ended = run(tmp_path, "--url", url, "status")
        finally:
            server.shutdown()
            thread.join()
    assert "answered HTTP 404: is that a sidecar?" in ended.refusal
    assert ended.code == 69


def test_a_port_in_use_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(tmp_path / "home", "run", "--port", f"{port}")
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use" in ended.refusal
    assert "choose another with --port" in ended.refusal
    assert ended.code == 75
    assert not list((tmp_path / "home").glob("mission-control.db*"))
    assert not (tmp_path / "home/mission-control.endpoint").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[listen]\nprot = 1\n", "listen.prot: unknown; known are: host, port"),
        ("[lisen]\n", "lisen: unknown; known are: listen, gateway, process, pulse"),
        ("[listen]\nport = 'x'\n", "listen.port: must be a whole number, not 'x'"),
        ("[listen]\nport = 99999\n", "listen: 'port' must be <= 65535"),
        ("[listen]\nhost = '0.0.0.0'\n", "listen: 'host' must be in"),
        ("[pulse]\ninterval_s = 0\n", "pulse.interval_s: 'interval_s' must be 0.01 to"),
        ("listen = 1\n", "listen: must be a table"),
        ("[listen\n", "line 1"),
    ],
)
def test_a_wrong_settings_file_is_named_with_the_key(
    tmp_path: Path, text: str, expected: str
) -> None:
    (tmp_path / "mission-control.toml").write_text(text)
    ended = run(tmp_path, "run", "--port", "0")
    assert str(tmp_path / "mission-control.toml") in ended.refusal
    assert expected in ended.refusal
    assert ended.code == 64
    assert [path.name for path in tmp_path.iterdir()] == ["mission-control.toml"]


@pytest.mark.parametrize(
    ("options", "more", "expected"),
    [
        (["--port", "-1"], {}, "the command line: listen: 'port' must be >= 0"),
        (["--host", "example.com"], {}, "the command line: listen: 'host' must be in"),
        (["--gateway", "http://127.0.0.1:1"], {}, "the command line: gateway: 'url' must match"),
        (["--gateway", "ws://127.0.0.1:1"], {}, "a Gateway needs its token: give --token-file"),
        (
            ["--gateway", "ws://127.0.0.1:1", "--token-file", "/nowhere/token"],
            {},
            "cannot read the Gateway's token from /nowhere/token",
        ),
        ([], {"MISSION_CONTROL_LISTEN_PORT": "x"}, "the environment: listen.port: "),
        ([], {"MISSION_CONTROL_LISTEN_PROT": "1"}, "the environment: listen.prot: unknown"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name_and_where_it_stands(
    tmp_path: Path, options: list[str], more: dict[str, str], expected: str
) -> None:
    ended = run(tmp_path / "home", "run", "--port", "0", *options, **more)
    assert expected in ended.refusal
    assert ended.code == 64
    assert not list((tmp_path / "home").glob("mission-control.db*"))


def test_a_home_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    for home in (tmp_path / "file", tmp_path / "file" / "inside"):
        assert str(home) in run(home, "run", "--port", "0").refusal
        assert "no sidecar runs on" in run(home, "status").refusal
    assert (tmp_path / "file").read_text() == "kept"


AS_ORDINARY = () if os.geteuid() else ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""To root every folder is writable, unless it gives that power away."""


@pytest.mark.skipif(
    bool(AS_ORDINARY) and not shutil.which("setpriv"), reason="root may write everywhere"
)
def test_a_home_that_may_not_be_written_is_refused_and_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    ended = run_as(AS_ORDINARY, home, "run", "--port", "0")
    assert f"cannot use the home {home}" in ended.refusal
    assert ended.code == 69
    assert list(home.iterdir()) == []
    ended = run_as(AS_ORDINARY, home / "inside", "run", "--port", "0")
    assert "Permission denied" in ended.refusal


def garbage(database: Path) -> None:
    database.write_bytes(os.urandom(10_000))


def of_another_program(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE theirs(x)")


def of_a_later_version(database: Path) -> None:
    with closing(open_writer(database)) as connection:
        migrate(connection)
        connection.execute(
            "INSERT INTO _sqlite_migrations(migration_set, name, applied_at)"
            " VALUES('mission_control', 'm9999_later', '')"
        )
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def a_folder(database: Path) -> None:
    database.mkdir()


def content(database: Path) -> object:
    if database.is_dir():
        return list(database.iterdir())
    try:
        with closing(sqlite3.connect(database)) as connection:
            return list(connection.iterdump())
    except sqlite3.DatabaseError:
        return database.read_bytes()


@pytest.mark.parametrize(
    ("spoil", "code", "expected"),
    [
        (garbage, 69, "file is not a database): check that"),
        (a_folder, 69, "cannot use the database"),
        (of_another_program, 75, "belongs to another program: move it away"),
        (of_a_later_version, 75, "newer than this program (it has m9999_later): upgrade"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_and_keeps_what_it_holds(
    tmp_path: Path, spoil: Callable[[Path], None], code: int, expected: str
) -> None:
    database = tmp_path / "mission-control.db"
    spoil(database)
    before = content(database)
    ended = run(tmp_path, "run", "--port", "0")
    assert expected in ended.refusal
    assert ended.code == code
    assert content(database) == before
    assert not (tmp_path / "mission-control.endpoint").exists()


def readiness(url: str) -> str:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=60) as answer:  # noqa: S310
            return str(answer.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.read().decode()


@pytest.mark.parametrize(
    ("token", "protocol", "expected"),
    [
        (None, 4, "cannot be reached: is it running?"),
        ("wrong", 4, "refused the token (AUTH_TOKEN_MISMATCH): check --token-file"),
        (TOKEN, 99, "PROTOCOL_MISMATCH): we speak protocol 4: install versions that fit"),
    ],
)
async def test_a_gateway_that_will_not_have_us_is_told_of_once_and_the_sidecar_goes_on(
    tmp_path: Path, token: str | None, protocol: int, expected: str
) -> None:
    (tmp_path / "token").write_text(token or TOKEN)
    gateway = FakeGateway(protocol=protocol)
    if token is None:
        gateway.port = unused_port()
        await reluctant(gateway, tmp_path, expected)
    else:
        async with gateway.serving():
            await reluctant(gateway, tmp_path, expected)


async def test_who_answers_and_is_no_gateway_is_told_of_and_the_sidecar_goes_on(
    tmp_path: Path,
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with http.server.HTTPServer(("127.0.0.1", 0), NoSidecar) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            other = FakeGateway(port=server.server_port)
            await reluctant(other, tmp_path, "does not greet us as a Gateway does (HTTP 404)")
        finally:
            server.shutdown()
            thread.join()


async def reluctant(gateway: FakeGateway, folder: Path, expected: str) -> None:
    options = ["--gateway", gateway.url, "--token-file", str(folder / "token")]
    process = await trio.lowlevel.open_process(
        [COMMAND, "--home", str(folder / "home"), "run", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        with trio.fail_after(200):
            first = bytes(await process.stdout.receive_some()).decode()
            warning = bytes(await process.stderr.receive_some()).decode()
            assert expected in warning
            assert warning.count("\n") == 1
            url = first.split()[4].rstrip(",")
            assert expected in await trio.to_thread.run_sync(readiness, url)
            home = folder / "home"
            await trio.to_thread.run_sync(run, home, "project", "init", "P")
            made = await trio.to_thread.run_sync(run, home, "task", "create", "p", "waits")
            why = await trio.to_thread.run_sync(run, home, "task", "why", made.words)
            assert why.words
            process.terminate()
            assert await process.wait() == 0
            assert await process.stderr.receive_some() == b""
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stdout.aclose()
            await process.stderr.aclose()
