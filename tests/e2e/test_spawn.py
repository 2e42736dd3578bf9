"""Spawn mode: a real Gateway starts the sidecar, starts it again, and takes it along.

The sidecar's way back to its Gateway is the one that another host would need: TLS, with a
certificate that is pinned.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from mission_control.gateway_bridge import Connection
from mission_control.gateway_bridge._connection import open_connection
from mission_control.storage import Unavailable
from openclaw_paths import OpenClaw

from .certificate import Certificate
from .gateway_stack import TOKEN, GatewayStack, free_port

pytestmark = [pytest.mark.openclaw, pytest.mark.slow, pytest.mark.timeout(300)]

PATIENCE_S = 90.0


@attrs.frozen
class Spawning:
    """A Gateway whose plugin starts the sidecar of *home*."""

    stack: GatewayStack
    home: Path

    @asynccontextmanager
    async def operator(self) -> AsyncIterator[Connection]:
        async with open_connection(self.stack.address, lambda _: None) as connection:
            yield connection

    async def pid(self) -> int:
        """The sidecar's process id, as soon as one has announced itself."""
        with trio.fail_after(PATIENCE_S):
            while True:
                try:
                    return int(
                        json.loads((self.home / "mission-control.endpoint").read_text())["pid"]
                    )
                except (OSError, ValueError):
                    await trio.sleep(0.05)  # another process writes it


@pytest.fixture(scope="module")
def spawning(openclaw: OpenClaw, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spawning]:
    root = tmp_path_factory.mktemp("spawn")
    home = root / "mission-home"
    home.mkdir()
    stack = GatewayStack(
        openclaw,
        root / "gateway",
        "http://127.0.0.1:9/v1",
        plugins={"enabled": True, "slots": {"memory": "none"}},
        certificate=Certificate.made_in(root / "certificate"),
    )
    stack.prepare()
    tell_of(stack, home)
    install(stack, home, "--spawn")
    with stack:
        yield Spawning(stack, home)


def tell_of(stack: GatewayStack, home: Path) -> None:
    """Write the sidecar's settings."""
    token_file = home / "gateway.token"
    token_file.write_text(TOKEN)
    gateway = {
        "url": stack.url,
        "token_file": str(token_file),
        "tls_fingerprint": stack.address.fingerprint,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in gateway.items()]
    (home / "mission-control.toml").write_text("\n".join(["[gateway]", *lines]))


def install(stack: GatewayStack, home: Path, *options: str) -> None:
    command = shlex.join(stack.openclaw.argv)
    bridge = f"ws://127.0.0.1:{free_port()}/bridge"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mission_control", "--home", str(home), "install-plugin"),
            *("--openclaw", command, "--sidecar", bridge, *options),
        ],
        env=stack.environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr


async def asked(connection: Connection, method: str, **params: Any) -> dict[str, Any]:
    """Call until it is answered: the sidecar may be on its way."""
    with trio.fail_after(PATIENCE_S):
        while True:
            try:
                return await connection.call(method, params)
            except Unavailable:
                await trio.sleep(0.01)  # nobody tells a client of the Gateway


async def linked(connection: Connection) -> None:
    """Wait until the sidecar says, through the Gateway, that it can begin turns there."""
    with trio.fail_after(PATIENCE_S):
        while (await asked(connection, "mission.system.health"))["away"]:  # noqa: ASYNC110
            await trio.sleep(0.05)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_the_gateway_starts_the_sidecar_and_starts_it_again_after_a_kill(
    spawning: Spawning,
) -> None:
    async with spawning.operator() as operator:
        made = await asked(operator, "mission.project.init", project_name="Kept")
        await linked(operator)
        first = await spawning.pid()
        os.kill(first, signal.SIGKILL)
        projects = (await asked(operator, "mission.project.list"))["projects"]
        assert [project["id"] for project in projects] == [made["project_id"]]
        with trio.fail_after(PATIENCE_S):
            while await spawning.pid() == first:  # noqa: ASYNC110 - another process writes it
                await trio.sleep(0.05)
        await linked(operator)


async def test_a_gateway_that_is_killed_leaves_no_sidecar_behind(spawning: Spawning) -> None:
    async with spawning.operator() as operator:
        await asked(operator, "mission.project.list")
    pid = await spawning.pid()
    spawning.stack.kill()
    with trio.fail_after(PATIENCE_S):
        while lives(pid):  # noqa: ASYNC110 - it is not our child
            await trio.sleep(0.05)
    await trio.to_thread.run_sync(spawning.stack.start)
    async with spawning.operator() as operator:
        assert (await asked(operator, "mission.project.list"))["projects"]


async def test_the_gateway_takes_the_sidecar_along_when_it_stops(spawning: Spawning) -> None:
    async with spawning.operator() as operator:
        await asked(operator, "mission.project.list")
    pid = await spawning.pid()
    await trio.to_thread.run_sync(spawning.stack.stop)
    with trio.fail_after(PATIENCE_S):
        while lives(pid):  # noqa: ASYNC110 - it is not our child
            await trio.sleep(0.05)


def test_installing_it_again_without_spawn_takes_the_setting_back(spawning: Spawning) -> None:
    settings = spawning.stack.root / "openclaw.json"
    entry = json.loads(settings.read_text())["plugins"]["entries"]["mission-control"]
    assert entry["config"]["spawn"][1:3] == ["-m", "mission_control"]
    install(spawning.stack, spawning.home)
    entry = json.loads(settings.read_text())["plugins"]["entries"]["mission-control"]
    assert "spawn" not in entry["config"]
