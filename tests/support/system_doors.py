"""The sidecar's doors from outside: plain HTTP and plain WebSockets, which check nothing for us."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

import attrs
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from mission_control import MissionControl
from mission_control.actors import Life, Outcome, PulseOrder
from rig import DONE, PATIENCE_S, ScriptedRunner

_ids = itertools.count(1)


def idle() -> ScriptedRunner:
    """Return a runner whose agents do nothing, at once."""

    async def script(order: PulseOrder, life: Life) -> Outcome:
        await trio.lowlevel.checkpoint()
        return DONE

    return ScriptedRunner(script)


def busy() -> ScriptedRunner:
    """Return a runner whose agents work until they are ended."""

    async def script(order: PulseOrder, life: Life) -> Outcome:
        await trio.sleep_forever()
        raise AssertionError

    return ScriptedRunner(script)


def call(method: str, **params: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": next(_ids), "method": method, "params": params}


@attrs.frozen
class Reply:
    """What an HTTP request was answered with."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


async def http(mc: MissionControl, head: str, body: bytes = b"", **headers: str) -> Reply:
    """Send one request as it stands, and read to the end; `_` in a header's name is `-`."""
    named = {"Host": urlsplit(mc.url).netloc, "Connection": "close"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    if body:
        named.setdefault("Content-Length", str(len(body)))
    lines = [f"{head} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), "", ""]
    received = b""
    async with await tcp(mc) as stream:
        await stream.send_all("\r\n".join(lines).encode("latin-1") + body)
        with trio.fail_after(PATIENCE_S):
            async for chunk in stream:
                received += chunk
    first, _, rest = received.partition(b"\r\n")
    return Reply(int(first.split()[1]), rest.partition(b"\r\n\r\n")[2].decode("utf-8", "replace"))


async def post(mc: MissionControl, value: object, token: str | None = None) -> Reply:
    """POST *value* (bytes as they are, all else as JSON) to /rpc, as the operator by default."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    authorization = f"Bearer {mc.token if token is None else token}"
    return await http(mc, "POST /rpc", body, Authorization=authorization)


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec_WebSocket_Version": "13",
}


class Door(Protocol):
    """Where a sidecar listens, and what opens it."""

    @property
    def url(self) -> str: ...
    @property
    def token(self) -> str: ...


async def tcp(mc: Door) -> trio.SocketStream:
    parts = urlsplit(mc.url)
    return await trio.open_tcp_stream(parts.hostname or "", parts.port or 0)


@attrs.define
class Wire:
    """A WebSocket that carries JSON."""

    socket: WebSocketConnection

    async def send(self, value: object) -> None:
        """Send *value*: text and bytes as they are, all else as JSON."""
        raw = value if isinstance(value, str | bytes) else json.dumps(value)
        await self.socket.send_message(raw)

    async def receive(self, within_s: float = PATIENCE_S) -> Any:
        with trio.fail_after(within_s):
            return json.loads(await self.socket.get_message())

    async def ask(self, value: object) -> Any:
        """Send *value*, and return what comes next."""
        await self.send(value)
        return await self.receive()

    async def result(self, method: str, **params: object) -> Any:
        return (await self.ask(call(method, **params)))["result"]

    async def closed(self, within_s: float = PATIENCE_S) -> int:
        """Read to the end; return the code that it was closed with."""
        with trio.fail_after(within_s), suppress(ConnectionClosed):
            while True:
                await self.socket.get_message()
        return int(self.socket.closed.code) if self.socket.closed else 0


@asynccontextmanager
async def websocket(
    mc: Door,
    path: str = "/rpc",
    *,
    token: str | None = None,
    subprotocols: tuple[str, ...] = (),
    stream: trio.SocketStream | None = None,
) -> AsyncIterator[Wire]:
    """Connect, as the operator where no token is given."""
    bearer = f"Bearer {mc.token if token is None else token}".encode()
    async with stream or await tcp(mc) as reached, trio.open_nursery() as nursery:
        socket = await wrap_client_stream(
            nursery,
            reached,
            urlsplit(mc.url).netloc,
            path,
            subprotocols=subprotocols,
            extra_headers=[(b"Authorization", bearer)],
            max_message_size=32 * 2**20,
        )
        yield Wire(socket)
        with trio.move_on_after(2):
            await socket.aclose()
        nursery.cancel_scope.cancel()
