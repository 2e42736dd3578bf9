"""A private, headless OpenClaw Gateway on loopback, with a scripted model and nothing else.

The settings and the environment switch off all that would talk to the network or call the model
by itself.  They are what OpenClaw 2026.9.6 understands; it refuses to start on an unknown key.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs

from mission_control.gateway_bridge import GatewayAddress
from openclaw_paths import OpenClaw

from .certificate import Certificate
from .scripted_model import MODEL

TOKEN = "a-token-for-tests-only"
START_TIMEOUT_S = 180
"""Ten seconds on an idle machine, a minute on a busy one."""
STOP_TIMEOUT_S = 60
"""A Gateway that has nothing to do stops in three seconds."""


def free_port() -> int:
    """A port that nobody listens on now; the Gateway cannot be given a socket or port 0.

    It is used later, and again: so it is none of those that the kernel gives to connections.
    """
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311 - no secret
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@attrs.define
class GatewayStack:
    """One Gateway in *root*, which may be started, killed and started again."""

    openclaw: OpenClaw
    root: Path
    model_url: str
    agents: Sequence[str] = ("main",)
    plugins: Mapping[str, Any] = attrs.field(factory=lambda: {"enabled": False})
    """The `plugins` part of its settings."""
    tools: Sequence[str] = ()
    """The tools that agents may use; all where empty."""
    channels: Mapping[str, Any] = attrs.field(factory=dict)
    """Its ways to people."""
    certificate: Certificate | None = None
    """With which it serves `wss://`; without one, it serves `ws://`."""
    env: Mapping[str, str] = attrs.field(factory=dict)
    """More of the environment, for plugins."""
    port: int = attrs.field(init=False, factory=free_port)
    _process: subprocess.Popen[bytes] | None = attrs.field(init=False, default=None)

    def __enter__(self) -> GatewayStack:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"ws{self._secure}://127.0.0.1:{self.port}/"

    @property
    def _secure(self) -> str:
        return "s" if self.certificate else ""

    @property
    def address(self) -> GatewayAddress:
        """How it is reached by whoever may do everything."""
        pin = self.certificate.fingerprint if self.certificate else ""
        return GatewayAddress(self.url, TOKEN, fingerprint=pin)

    def start(self) -> None:
        """Start the Gateway; return when it is ready for work."""
        self.prepare()
        with (self.root / "gateway.out").open("ab") as out:
            self._process = subprocess.Popen(
                [
                    *(self.openclaw.node, self.openclaw.script, "gateway", "run"),
                    *("--port", str(self.port), "--bind", "loopback"),
                ],
                cwd=self.root,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_ready(self._process)

    def stop(self) -> None:
        """Ask the Gateway to stop; kill what is left."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):  # it waits five minutes for runs that hang
                self._process.wait(STOP_TIMEOUT_S)
        self.kill()

    def crash(self) -> None:
        """Kill the Gateway alone, as `kill -9` does: its helpers, and what its tools run, follow.

        They follow because the helpers notice; killed with it, they would leave commands behind.
        """
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def kill(self) -> None:
        """Kill the Gateway and its helpers."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):  # all of the group has gone
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Send *number* to the Gateway."""
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def prepare(self) -> None:
        """Make its folders and settings, where they are not there."""
        for name in ("home", "state", *(f"work/{agent}" for agent in self.agents)):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        settings = self.root / "openclaw.json"
        if not settings.exists():
            settings.touch(mode=0o600)
            settings.write_text(json.dumps(self.settings(), indent=1), encoding="utf-8")

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        url = f"http{self._secure}://127.0.0.1:{self.port}/readyz"
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"the Gateway ended with {process.returncode}: {self.log()}")
            try:
                with urllib.request.urlopen(url, timeout=5, context=trusting):  # noqa: S310 - ours
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)  # it tells nobody when it is ready
        raise TimeoutError(f"the Gateway was not ready in time: {self.log()}")

    def log(self) -> str:
        """The last of what the Gateway printed."""
        return self._printed()[-4000:]

    def said(self, words: str) -> int:
        """How often *words* are in what it printed, in all its lives."""
        return self._printed().count(words)

    def _printed(self) -> str:
        return (self.root / "gateway.out").read_text(encoding="utf-8", errors="replace")

    def environment(self) -> dict[str, str]:
        """What the Gateway, and OpenClaw's command about it, run in."""
        switches = (
            "DISABLE_BONJOUR",
            "NO_AUTO_UPDATE",
            "NO_RESPAWN",
            "SKIP_BROWSER_CONTROL_SERVER",
            "SKIP_CANVAS_HOST",
            "SKIP_GMAIL_WATCHER",
            "SKIP_STARTUP_MODEL_PREWARM",
            *(() if self.channels else ("SKIP_CHANNELS",)),
        )
        return {
            "PATH": f"{self.openclaw.node.parent}:{os.environ.get('PATH', os.defpath)}",
            "LANG": "C.UTF-8",
            "HOME": str(self.root / "home"),
            "OPENCLAW_STATE_DIR": str(self.root / "state"),
            "OPENCLAW_CONFIG_PATH": str(self.root / "openclaw.json"),
            "OPENCLAW_EXEC_SHELL_SNAPSHOT": "0",
            "DO_NOT_TRACK": "1",
            "NO_COLOR": "1",
            **{f"OPENCLAW_{switch}": "1" for switch in switches},
            **self.env,
        }

    def settings(self) -> dict[str, Any]:
        """What it is first given as its configuration."""
        tools: dict[str, Any] = {"toolSearch": False, "codeMode": False}
        if self.tools:
            tools["allow"] = list(self.tools)
        return {
            "gateway": {
                "mode": "local",
                "port": self.port,
                "bind": "loopback",
                "auth": {"mode": "token", "token": TOKEN},
                "controlUi": {"enabled": False},
                "terminal": {"enabled": False},
                "tailscale": {"mode": "off"},
                "nodes": {"pairing": {"sshVerify": False}},
                **({"tls": self.certificate.settings()} if self.certificate else {}),
            },
            "models": self._models(),
            "agents": self._agents(),
            "tools": tools,
            "plugins": dict(self.plugins),
            "channels": dict(self.channels),
            "skills": {"allowBundled": [], "workshop": {"autonomous": {"mode": "off"}}},
            "browser": {"enabled": False},
            "discovery": {"mdns": {"mode": "off"}},
            "update": {"checkOnStart": False, "auto": {"enabled": False}},
            "telemetry": {"enabled": False},
            "hooks": {"internal": {"enabled": False}},
            "logging": {
                "level": "info",
                "consoleLevel": "info",
                "file": str(self.root / "gateway.log"),
            },
        }

    def _models(self) -> dict[str, Any]:
        model = {
            "id": MODEL,
            "name": "Scripted",
            "reasoning": False,
            "input": ["text"],
            "cost": {"input": 1, "output": 1, "cacheRead": 0, "cacheWrite": 0},
            "contextWindow": 128_000,
            "maxTokens": 8192,
        }
        provider = {
            "baseUrl": self.model_url,
            "apiKey": "scripted",
            "api": "openai-completions",
            "models": [model],
        }
        return {
            "mode": "replace",
            "catalogRefresh": {"enabled": False},
            "providers": {"scripted": provider},
        }

    def _agents(self) -> dict[str, Any]:
        return {
            "defaults": {
                "model": {"primary": f"scripted/{MODEL}"},
                "utilityModel": "",  # or it calls the model for titles
                "workspace": str(self.root / "work" / self.agents[0]),
                "skipBootstrap": True,
                "skills": [],
                "heartbeat": {"every": "0m"},
                "timeoutSeconds": 600,
                "systemAgent": {"agentId": self.agents[0]},
            },
            "ownership": "explicit",
            "entries": {
                agent: {"workspace": str(self.root / "work" / agent)} for agent in self.agents
            },
        }
