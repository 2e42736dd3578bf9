"""A small Gateway over real WebSockets on loopback: greets, and answers as the test says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import attrs
import trio
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    WebSocketRequest,
    serve_websocket,
)

TOKEN = "the right token"

Frame: TypeAlias = dict[str, Any]


@attrs.define
class Peer:
    """The Gateway's end of one connection."""

    websocket: WebSocketConnection
    seq: int = 0

    async def say(self, frame: Frame) -> None:
        await self.websocket.send_message(json.dumps(frame))

    async def answer(self, request: Frame, **payload: Any) -> None:
        await self.say({"type": "res", "id": request["id"], "ok": True, "payload": payload})

    async def refuse(self, request: Frame, code: str, **error: Any) -> None:
        wire = {"code": code, "message": "no", **error}
        await self.say({"type": "res", "id": request["id"], "ok": False, "error": wire})

    async def tell(self, event: str, **payload: Any) -> None:
        self.seq += 1
        await self.say({"type": "event", "event": event, "payload": payload, "seq": self.seq})

    async def hang_up(self) -> None:
        await self.websocket.aclose(1012, "service restart")


Handler: TypeAlias = Callable[[Peer, Frame], Awaitable[None]]


async def answer_nothing(peer: Peer, request: Frame) -> None:
    """Take requests, and leave them."""


@attrs.define
class FakeGateway:
    """What it does may be changed while it runs; `port` is known once it serves."""

    handle: Handler = answer_nothing
    protocol: int = 4
    boot_id: str = "boot-1"
    starting: int = 0
    """To how many clients it says that it is not ready yet."""
    tick_ms: int = 30_000
    port: int = 0
    requests: list[Frame] = attrs.field(factory=list)
    _heard: trio.Event = attrs.field(factory=trio.Event)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    async def asked(self, count: int) -> None:
        """Wait until it has heard *count* requests."""
        while len(self.requests) < count:
            await self._heard.wait()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve while the block runs, at the same port each time."""
        async with trio.open_nursery() as nursery:
            server = await nursery.start(
                serve_websocket, self._converse, "127.0.0.1", self.port, None
            )
            self.port = server.port
            yield
            nursery.cancel_scope.cancel()

    async def _converse(self, request: WebSocketRequest) -> None:
        peer = Peer(await request.accept())
        try:
            await peer.say({"type": "event", "event": "connect.challenge", "payload": {}})
            await self._greet(peer, await self._listen(peer))
            while True:
                await self.handle(peer, await self._listen(peer))
        except ConnectionClosed:
            pass

    async def _listen(self, peer: Peer) -> Frame:
        frame: Frame = json.loads(await peer.websocket.get_message())
        self.requests.append(frame)
        self._heard.set()
        self._heard = trio.Event()
        return frame

    async def _greet(self, peer: Peer, connect: Frame) -> None:
        params = connect["params"]
        if self.starting:
            self.starting -= 1
            await peer.refuse(connect, "UNAVAILABLE", retryable=True, retryAfterMs=1)
        elif not params["minProtocol"] <= self.protocol <= params["maxProtocol"]:
            await peer.refuse(connect, "INVALID_REQUEST", details={"code": "PROTOCOL_MISMATCH"})
        elif params["auth"]["token"] != TOKEN:
            await peer.refuse(connect, "INVALID_REQUEST", details={"code": "AUTH_TOKEN_MISMATCH"})
        else:
            await peer.answer(
                connect,
                type="hello-ok",
                protocol=self.protocol,
                server={"version": "2026.9.6", "bootId": self.boot_id},
                auth={"scopes": params["scopes"]},
                policy={"tickIntervalMs": self.tick_ms},
            )
            return
        await peer.hang_up()
        raise ConnectionClosed(None)
