"""A WebSocket that was taken over from HTTP, read by whoever wants its next message.

The application of a web server is a task beside the one that reads, and each message is handed over
through several layers.  Here the reader is the one who answers: that is half the time of a call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Message,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from ._http import IGNORED_BYTES, SendLock, Upgrade
from ._server import MAX_RECEIVE_BYTES, TAKE_WITHIN_S


class LineEnded(Exception):
    """The other side has ended the conversation, or can no longer be understood."""


class WebLine:
    """The server's end of one WebSocket.  One task at a time receives; any number send.

    Args:
        stream: what carries it.
        message_bytes: returns what a message may hold now; of text, in characters.
    """

    def __init__(self, stream: trio.SocketStream, message_bytes: Callable[[], int]) -> None:
        self._stream = stream
        self._message_bytes = message_bytes
        self._protocol = WSConnection(ConnectionType.SERVER)
        self._sending = SendLock()
        self._sent = 0
        self._parts: list[str | bytes | bytearray] = []
        self._length = 0
        self._ignored = 0
        self._ended = False
        self._messages: deque[str | bytes] = deque()

    def offered(self, upgrade: Upgrade) -> list[str]:
        """Begin with the client's request; return the subprotocols that it offers.

        Raises:
            RemoteProtocolError: it is no request for a WebSocket; `event_hint` is the refusal.
        """
        try:
            self._protocol.initiate_upgrade_connection(list(upgrade.headers), upgrade.target)
        except UnicodeError:  # Host is read as a name, and lists as ASCII
            refusal = RejectConnection()
            raise RemoteProtocolError("this is no text", event_hint=refusal) from None
        (request,) = self._protocol.events()
        assert isinstance(request, Request)  # noqa: S101 - of a server that has read a request
        return request.subprotocols

    async def accept(self, subprotocol: str) -> None:
        """Answer the request: the conversation begins."""
        await self._send(AcceptConnection(subprotocol=subprotocol))

    async def reject(self, refusal: RejectConnection, body: bytes = b"") -> None:
        """Answer the request: there is no conversation.  *refusal* says how long a body is."""
        headers = [*refusal.headers, (b"connection", b"close")]
        rest = [RejectData(data=body)] if body else []
        await self._send(replace(refusal, headers=headers, has_body=bool(body)), *rest)

    async def receive(self) -> str | bytes:
        """Return the next message.

        Raises:
            LineEnded: there is none.
        """
        while not self._messages:
            await self._listen()
        return self._messages.popleft()

    async def send(self, text: str) -> None:
        """Send one message.  Cancelled in the middle of it, the line is of no use any more."""
        await self._send(TextMessage(data=text))

    async def close(self, code: int) -> None:
        """Say goodbye."""
        await self._send(CloseConnection(code=code))

    async def cut_when_stuck(self) -> None:
        """Cut off a client that has not taken one message to its end, within twice `TAKE_WITHIN_S`.

        Bytes are not counted: one that takes a few now and then keeps all others waiting as well.
        """
        while True:
            sent, was_sending = self._sent, self._sending.locked()
            await trio.sleep(TAKE_WITHIN_S)
            if was_sending and self._sending.locked() and sent == self._sent:
                await trio.aclose_forcefully(self._stream)

    async def _listen(self) -> None:
        if self._ended:
            raise LineEnded
        self._protocol.receive_data(await self._read())
        for event in self._protocol.events():
            await self._hear(event)

    async def _read(self) -> bytes:
        try:
            data = await self._stream.receive_some(MAX_RECEIVE_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise LineEnded from None
        if not data:
            raise LineEnded
        return bytes(data)

    async def _hear(self, event: Event) -> None:
        match event:
            case _ if self._ended:
                pass  # nothing counts after a goodbye
            case Message():
                await self._collect(event)
            case Ping():
                await self._send(event.response())
            case CloseConnection():
                await self._end(event)
            case _:
                pass  # a pong that nobody asked for

    async def _collect(self, event: Message[Any]) -> None:
        self._length += len(event.data)
        if self._ignored or self._length > self._message_bytes():
            await self._ignore(len(event.data))
            return
        if event.data or not self._parts:  # of empty ones there could be any number
            self._parts.append(event.data)
        if event.message_finished:
            self._messages.append(_joined(self._parts))
            self._parts, self._length = [], 0

    async def _ignore(self, size: int) -> None:
        """Hear no more; somebody in the middle of sending must come to the end, and read why."""
        if not self._ignored:
            await self.close(CloseReason.MESSAGE_TOO_BIG)
        self._ignored += size
        self._ended = self._ignored > IGNORED_BYTES

    async def _end(self, goodbye: CloseConnection) -> None:
        """Say goodbye as well; to nonsense, which wsproto reports as a goodbye, first."""
        self._ended = True
        if self._protocol.state in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
            await self._send(goodbye.response())

    async def _send(self, *events: Event) -> None:
        async with self._sending:
            try:
                data = b"".join([self._protocol.send(event) for event in events])
                await self._stream.send_all(data)
            except (LocalProtocolError, trio.BrokenResourceError, trio.ClosedResourceError):
                raise LineEnded from None
            self._sent += 1


def _joined(parts: list[Any]) -> str | bytes:
    """Return one message; all of its parts are text, or none is."""
    return "".join(parts) if isinstance(parts[0], str) else b"".join(parts)
