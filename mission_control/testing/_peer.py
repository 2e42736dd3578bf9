"""The Gateway's end of one connection."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias

import attrs
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

CLOSING_TIMEOUT_S = 5.0
"""How long a client may take to agree that the connection is closed."""

Frame: TypeAlias = dict[str, Any]
"""One JSON object, as it is on the wire."""


@attrs.frozen
class Refusal:
    """The `error` member of a response; see `FakeGateway.refuse`."""

    code: str
    message: str = "no"
    details: dict[str, Any] | None = None
    retryable: bool | None = None
    retry_after_ms: int | None = None

    def wire(self) -> Frame:
        """Return it as it is sent: without the members that say nothing."""
        error = {
            "code": self.code,
            "message": self.message,
            "details": self.details,
            "retryable": self.retryable,
            "retryAfterMs": self.retry_after_ms,
        }
        return {name: value for name, value in error.items() if value is not None}


@attrs.define(eq=False)
class Peer:
    """One client, as long as it is connected."""

    websocket: WebSocketConnection
    tool_events: bool = False
    """Whether it asked for the tool calls of the turns that it begins."""
    seq: int = 0
    """The number of the last event that it was told, or should have been."""
    losing: int = 0
    """How many of the next events it is not told."""
    leaving: trio.Event | None = None
    """Set when the connection that we close is closed."""

    async def say(self, frame: Frame) -> None:
        """Send *frame*.

        Raises:
            trio_websocket.ConnectionClosed: the client has gone.
        """
        await self.websocket.send_message(json.dumps(frame))

    async def answer(self, request: Frame, /, **payload: Any) -> None:
        """Say that *request* was done."""
        await self.say({"type": "res", "id": request["id"], "ok": True, "payload": payload})

    async def refuse(self, request: Frame, code: str, /, **error: Any) -> None:
        """Say that *request* was not done; *error* is as on the wire."""
        wire = {"code": code, "message": "no", **error}
        await self.say({"type": "res", "id": request["id"], "ok": False, "error": wire})

    async def reject(self, request: Frame, refusal: Refusal) -> None:
        """Say that *request* was not done, and why."""
        await self.say({"type": "res", "id": request["id"], "ok": False, "error": refusal.wire()})

    async def tell(self, event: str, /, **payload: Any) -> None:
        """Send a numbered event, or lose it, which takes a number too."""
        self.seq += 1
        if self.losing:
            self.losing -= 1
            return
        await self.say({"type": "event", "event": event, "payload": payload, "seq": self.seq})

    async def hang_up(self, code: int = 1012, reason: str = "service restart") -> None:
        """Close the connection, and say why."""
        self.leaving = trio.Event()
        try:
            with trio.move_on_after(CLOSING_TIMEOUT_S):
                await self.websocket.aclose(code, reason)
        finally:
            self.leaving.set()

    async def settle(self, request: Frame, payload: Frame, refusal: Refusal | None = None) -> None:
        """Answer *request* a second time, if the client is still there."""
        error = {} if refusal is None else {"error": refusal.wire()}
        answer = {"type": "res", "id": request["id"], "ok": refusal is None, "payload": payload}
        with suppress(ConnectionClosed):
            await self.say(answer | error)


Handler: TypeAlias = Callable[[Peer, Frame], Awaitable[None]]
"""Takes the requests that follow the greeting."""


async def answer_nothing(peer: Peer, request: Frame) -> None:
    """Take requests, and leave them."""
