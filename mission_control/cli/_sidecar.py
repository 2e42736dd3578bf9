"""Talking to the sidecar that runs, on behalf of one command."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import trio

from ..gateway_bridge import connect
from ..storage import Unauthenticated, Unavailable

DEFAULT_URL = "http://127.0.0.1:18700"


@attrs.frozen
class Sidecar:
    """Where the sidecar is, and the token for it."""

    url: str
    token: str = attrs.field(repr=False)

    @classmethod
    def find(cls, home: Path, url: str | None) -> Sidecar:
        """Find it: inside a pulse by the agent's environment, else by the home.

        Raises:
            Unavailable: no sidecar runs on this home.
            Unauthenticated: the token cannot be read.
        """
        given = os.environ.get("MISSION_CONTROL_TOKEN")
        if given and url is None:
            return cls(os.environ.get("MISSION_CONTROL_URL") or _near(home), given)
        return cls(url or _announced(home), _token(home))

    @property
    def rpc_url(self) -> str:
        """The address to connect to."""
        if self.url.startswith("unix:"):
            return self.url
        return self.url.replace("http", "ws", 1).rstrip("/") + "/rpc"

    def call(self, method: str, **params: object) -> Any:
        """Call one method; parameters that are None are left out."""

        async def once() -> Any:
            async with connect(self.rpc_url, self.token) as client:
                return await client.call(method, **_given(params))

        return trio.run(once)

    def follow(
        self,
        method: str,
        *,
        show: Callable[[Any], object],
        tell: Callable[[dict[str, Any]], object],
        **params: object,
    ) -> None:
        """Show what *method* lists, and tell of what happens from then on until interrupted.

        What happens while the list is made may be in it and be told of as well.
        """

        async def listen() -> None:
            async with connect(self.rpc_url, self.token) as client:
                # In this order: or what happened between the two would be lost.
                await client.call("mission.subscribe", **_given(params, "project_id"))
                show(await client.call(method, **_given(params)))
                async for event in client.events:
                    tell(event)
                raise Unavailable("the sidecar ended the connection: begin again when it runs")

        trio.run(listen)


def _given(params: Mapping[str, object], *only: str) -> dict[str, object]:
    names = only or tuple(params)
    return {name: params[name] for name in names if params.get(name) is not None}


def _near(home: Path) -> str:
    """Return where the sidecar of this home is, or else where one usually is."""
    try:
        return _announced(home)
    except Unavailable:
        return DEFAULT_URL


def _announced(home: Path) -> str:
    try:
        announced = json.loads((home / "mission-control.endpoint").read_text())
        # It is not there where a container shares the home's files with us, and no more.
        if (path := announced.get("socket")) and Path(path).is_socket():
            return f"unix:{path}"
        return str(announced["url"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # not there, or not ours
        raise Unavailable(
            f"no sidecar runs on {home}: start one with 'mission-control run', or choose another"
            " with --home"
        ) from None


def _token(home: Path) -> str:
    path = home / "mission-control.token"
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError as error:
        raise Unauthenticated(f"cannot read the token {path}: {error.strerror}") from error
