"""A Gateway with the plugin, and sidecars at its side."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from mission_control import gateway_bridge
from mission_control.gateway_bridge import Client, connect

from .gateway_stack import TOKEN, GatewayStack
from .scripted_model import ScriptedModel

COMMAND = (sys.executable, "-m", "mission_control", "--home")


@attrs.frozen
class Factory:
    """A Gateway with the plugin, and the home of the sidecar that it belongs to."""

    stack: GatewayStack
    model: ScriptedModel
    home: Path
    port: int

    @contextmanager
    def sidecar(self) -> Iterator[subprocess.Popen[str]]:
        """Run the sidecar as a user does."""
        token_file = self.home / "gateway.token"
        token_file.write_text(TOKEN)
        (self.home / "mission-control.endpoint").unlink(missing_ok=True)  # of one that was killed
        arguments = ["--gateway", self.stack.url, "--token-file", str(token_file)]
        with (
            (self.home / "sidecar.out").open("a") as out,
            subprocess.Popen(
                [*COMMAND, str(self.home), "run", *arguments, "--port", str(self.port)],
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.wait(60)
                finally:
                    process.kill()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """Talk to the sidecar, as soon as it is there."""
        with trio.fail_after(60):
            while not (self.home / "mission-control.endpoint").exists():  # noqa: ASYNC110
                await trio.sleep(0.1)  # another process writes it
        token = (self.home / "mission-control.token").read_text().strip()
        async with connect(f"ws://127.0.0.1:{self.port}/rpc", token) as client:
            yield client


def install(stack: GatewayStack, home: Path, port: int) -> None:
    """Install the plugin with our own command, whether the Gateway runs or not."""
    command = shlex.join(stack.openclaw.argv)
    done = subprocess.run(
        [
            *(*COMMAND, str(home), "install-plugin", "--openclaw", command),
            *("--sidecar", f"ws://127.0.0.1:{port}/bridge"),
        ],
        env=stack.environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "plugin 0.1.0 installed" in done.stdout


def plugin_in(folder: Path, home: Path, port: int) -> dict[str, Any]:
    """Copy the plugin to *folder*; return the settings by which a Gateway loads it from there.

    That saves the minute of `install`.
    """
    shutil.copytree(
        Path(gateway_bridge.__file__).parent / "plugin",
        folder,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    folder.chmod(0o755)
    entry = {
        "enabled": True,
        "config": {
            "url": f"ws://127.0.0.1:{port}/bridge",
            "tokenFile": str(home / "mission-control.token"),
        },
        "hooks": {"allowConversationAccess": True},
    }
    return {
        "enabled": True,
        "slots": {"memory": "none"},
        "load": {"paths": [str(folder)]},
        "entries": {"mission-control": entry},
    }
