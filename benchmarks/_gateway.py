"""A real Gateway with the plugin, and a sidecar that runs beside it or is started by it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import attrs
import trio

from _tests import TESTS  # noqa: F401 - makes the next ones be found
from mission_control.actors import Home
from mission_control.gateway_bridge import Client, GatewayAddress, connect
from mission_control.gateway_bridge._connection import Connection, open_connection
from mission_control.storage import MissionError
from openclaw_paths import OpenClaw
from tests.e2e.factory import plugin_in
from tests.e2e.gateway_stack import TOKEN, GatewayStack, free_port
from tests.e2e.scripted_model import ScriptedModel

PATIENCE_S = 60.0


@attrs.frozen
class Bridged:
    """The Gateway, and the home of its sidecar."""

    stack: GatewayStack
    home: Home
    port: int

    @property
    def _command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "mission_control", "--home", str(self.home.path)),
            *("run", "--until-eof", "--port", str(self.port)),
            *("--gateway", self.stack.url, "--token-file", str(self.home.path / "gateway.token")),
        ]

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Run the sidecar, for a Gateway that is started later; return when it listens."""
        with subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            process.stdout.readline()
            yield  # and with the block its standard input ends, and so does it

    def let_gateway_spawn(self) -> None:
        """Have the Gateway start the sidecar from its next start on."""
        path = self.stack.root / "openclaw.json"
        settings = json.loads(path.read_text("utf-8"))
        config = settings["plugins"]["entries"]["mission-control"]["config"]
        config["spawn"] = self._command
        path.write_text(json.dumps(settings), "utf-8")

    @asynccontextmanager
    async def operator(self) -> AsyncIterator[Connection]:
        """Talk to the Gateway, as an operator's client does."""
        address = GatewayAddress(self.stack.url, TOKEN)
        async with open_connection(address, lambda _: None) as connection:
            yield connection

    @asynccontextmanager
    async def direct(self) -> AsyncIterator[Client]:
        """Talk to the sidecar."""
        token = self.home.token.read_text("utf-8").strip()
        async with connect(f"ws://127.0.0.1:{self.port}/rpc", token) as client:
            yield client

    def kill_sidecar(self) -> None:
        """Kill it without a warning."""
        os.kill(json.loads(self.home.endpoint.read_text("utf-8"))["pid"], signal.SIGKILL)

    def until_linked(self) -> float:
        """Block until the sidecar is linked to the Gateway; return the time."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                    return time.monotonic()
            except (urllib.error.URLError, OSError):
                time.sleep(0.01)  # nobody tells
        raise TimeoutError("the sidecar found no link to the Gateway")


def prepare(openclaw: OpenClaw, root: Path, home: Home, model: ScriptedModel) -> Bridged:
    """Prepare a Gateway in *root* and a sidecar of *home*; neither is started."""
    port = free_port()
    plugins = plugin_in(root / "plugin", home.path, port)
    stack = GatewayStack(openclaw, root / "gateway", model.url, plugins=plugins)
    token_file = home.path / "gateway.token"
    token_file.touch(mode=0o600)
    token_file.write_text(TOKEN, "utf-8")
    stack.prepare()
    return Bridged(stack, home, port)


async def until_answered(operator: Connection, method: str, **params: object) -> None:
    """Return when the sidecar answers through the Gateway."""
    with trio.fail_after(PATIENCE_S):
        while True:
            try:
                await operator.call(method, params)
            except MissionError:
                await trio.sleep(0.005)  # it is being started
            else:
                return
