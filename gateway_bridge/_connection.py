"""One connection to the OpenClaw Gateway: greeted, then used until either side ends it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, TypeAlias, cast

import attrs
import trio
from trio_websocket import (
    ConnectionClosed,
    HandshakeError,
    WebSocketConnection,
    wrap_client_stream,
)

from ..storage import MissionError, Unavailable
from ._address import GatewayAddress, WebStream
from ._foreign import FOREIGN, spoken_instead
from ._frames import (
    Answer,
    Challenged,
    Conversation,
    Event,
    Failure,
    Greeted,
    Ignored,
    Settled,
    Turned,
)
from ._refusals import RETRY_AFTER_MS, check_scopes, refusal, to_mission_error

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""More than the 25 MiB that the Gateway sends at most."""
GREETING_TIMEOUT_S = 10.0
CLOSING_TIMEOUT_S = 2.0
SILENT_TICKS = 2
"""After so many ticks without a word the connection is taken for dead."""
SENDING_LIMIT = 1000
"""Requests that may wait to be sent."""

log = logging.getLogger(__name__)

Heard: TypeAlias = Event | Settled
"""What a connection tells its listener."""


class ConnectionLost(Unavailable):
    """The connection ended before the answer came: the request may have been carried out."""


@attrs.define
class _Call:
    """A request that waits for its answer."""

    method: str
    over: trio.Event = attrs.field(factory=trio.Event)
    payload: Mapping[str, Any] = attrs.field(factory=dict)
    error: MissionError | None = None

    def end(
        self, *, payload: Mapping[str, Any] | None = None, error: MissionError | None = None
    ) -> None:
        self.payload, self.error = payload or {}, error
        self.over.set()


class Connection:
    """One conversation with one life of the Gateway, open until either side ends it."""

    def __init__(
        self,
        websocket: WebSocketConnection,
        conversation: Conversation,
        hello: Greeted,
        listener: Callable[[Heard], None],
    ) -> None:
        self.hello = hello
        self._websocket = websocket
        self._conversation = conversation
        self._listener = listener
        self._calls: dict[str, _Call] = {}
        self._outbox, self._to_send = trio.open_memory_channel[str](SENDING_LIMIT)
        self._over = trio.Event()
        self._why_over = ""
        self._heard_at = trio.current_time()

    async def call(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the Gateway, and return the payload of its (first) answer.

        Raises:
            ConnectionLost: the answer will never come.
            Unavailable: too many requests wait already.
            MissionError: what the Gateway's error means.
        """
        if self._over.is_set():
            raise Unavailable(self._why_over, retry_after_ms=RETRY_AFTER_MS)
        id_, text = self._conversation.request(method, params)
        call = self._calls[id_] = _Call(method)
        try:
            self._enqueue(text)
            await call.over.wait()
        finally:
            del self._calls[id_]
        if call.error:
            raise call.error
        return dict(call.payload)

    @property
    def is_open(self) -> bool:
        """Whether the Gateway may still be asked."""
        return not self._over.is_set()

    async def ended(self) -> str:
        """Wait for the end of the connection, and say why it came."""
        await self._over.wait()
        return self._why_over

    def _enqueue(self, text: str) -> None:
        try:
            self._outbox.send_nowait(text)
        except trio.WouldBlock:
            raise Unavailable("the Gateway is slow", retry_after_ms=RETRY_AFTER_MS) from None

    async def close(self) -> None:
        """Say goodbye; do not wait long for the reply."""
        with trio.move_on_after(CLOSING_TIMEOUT_S):
            await self._websocket.aclose()

    async def send_all(self) -> None:
        """Send what is asked.  A task of its own: cancelling a caller must not tear a frame."""
        try:
            async for text in self._to_send:
                await self._websocket.send_message(text)
        except ConnectionClosed:
            pass  # the reader tells why

    async def read_all(self) -> None:
        """Read until the connection ends.  Never waits for those who are told."""
        try:
            while True:
                text = await self._websocket.get_message()
                self._heard_at = trio.current_time()
                self._hear(text)
        except ConnectionClosed as closed:
            self._end(f"the Gateway closed the connection ({_closing(closed)})")
        finally:
            self._end("the connection was closed")

    async def end_in_silence(self) -> None:
        """Take a silent Gateway for dead: by one deadline that is moved, not one for each frame."""
        while self.is_open:
            heard_at = self._heard_at
            await trio.sleep_until(heard_at + SILENT_TICKS * self.hello.tick_interval_s)
            if heard_at == self._heard_at:
                self._end("the Gateway fell silent")

    def _hear(self, text: str | bytes) -> None:
        match self._conversation.receive(text):
            case Answer(id=id_, payload=payload) if id_ in self._calls:
                self._calls[id_].end(payload=payload)
            case Failure(id=id_, error=error) if id_ in self._calls:
                self._calls[id_].end(error=to_mission_error(self._calls[id_].method, error))
            case Event() | Settled() as heard:
                self._listener(heard)
            case Ignored(why=why):
                log.debug("ignored %s", why)
            case Answer() | Failure():
                pass  # whoever asked has given up waiting
            case Challenged() | Greeted() | Turned():
                pass  # not after the greeting: see TRANSITIONS

    def _end(self, why: str) -> None:
        """Let nobody wait any longer; only the first reason counts."""
        if self._over.is_set():
            return
        self._why_over = why
        self._over.set()
        for call in self._calls.values():
            lost = f"{why} before {call.method} was answered"
            call.end(error=ConnectionLost(lost, retry_after_ms=RETRY_AFTER_MS))


@asynccontextmanager
async def open_connection(
    address: GatewayAddress, listener: Callable[[Heard], None]
) -> AsyncIterator[Connection]:
    """Connect to the Gateway and greet it; read in the background while the block runs.

    *listener* is told of events at once, from the reading task; it must not wait.

    Raises:
        Unavailable: nobody answers there, or not yet.
        GatewayRefused: only a person can help.
    """
    failure: Exception | None = None
    try:
        async with await _reach(address) as stream, trio.open_nursery() as nursery:
            try:
                connection = await _greet(nursery, stream, address, listener)
                nursery.start_soon(connection.read_all)
                nursery.start_soon(connection.send_all)
                nursery.start_soon(connection.end_in_silence)
                yield connection
                await connection.close()
            except Exception as error:  # noqa: BLE001  # raised below, where no nursery wraps it
                failure = error
            nursery.cancel_scope.cancel()
    except* FOREIGN as foreign:  # by the task that reads, in the nursery
        failure = _no_gateway(address, foreign.exceptions[0])
    if failure is not None:
        raise failure


async def _reach(address: GatewayAddress) -> WebStream:
    try:
        with trio.fail_after(GREETING_TIMEOUT_S):
            return await address.reach()
    except (OSError, trio.TooSlowError) as error:
        raise Unavailable(
            f"the Gateway at {address.url} cannot be reached: is it running? ({_reason(error)})"
        ) from error


async def _greet(
    nursery: trio.Nursery,
    stream: WebStream,
    address: GatewayAddress,
    listener: Callable[[Heard], None],
) -> Connection:
    conversation = Conversation()
    try:
        with trio.fail_after(GREETING_TIMEOUT_S):
            websocket = await _shake_hands(nursery, stream, address)
            hello = await _exchange(websocket, conversation, address)
    except (HandshakeError, ConnectionClosed, trio.TooSlowError) as error:
        raise _no_gateway(address, error) from error
    return Connection(websocket, conversation, hello, listener)


async def _shake_hands(
    nursery: trio.Nursery, stream: WebStream, address: GatewayAddress
) -> WebSocketConnection:
    netloc, path = address.parts.netloc, address.parts.path or "/"
    with trio.CancelScope() as patience:
        # Any stream will do, whatever the annotation says.
        line = cast("trio.SocketStream", _Line(stream, patience))
        return await wrap_client_stream(
            nursery, line, netloc, path, max_message_size=MAX_MESSAGE_BYTES
        )
    raise Unavailable(f"the Gateway at {address.url} hung up before it greeted us")


class _Line(trio.abc.Stream):
    """Ends *patience* when the other side has ended.

    trio-websocket waits for the end of a handshake even when nobody is left to end it.
    """

    def __init__(self, stream: WebStream, patience: trio.CancelScope) -> None:
        self._stream = stream
        self._patience = patience

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data: bytes | bytearray = b""
        try:
            data = await self._stream.receive_some(max_bytes)
        finally:
            if not data:
                self._patience.cancel()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _exchange(
    websocket: WebSocketConnection, conversation: Conversation, address: GatewayAddress
) -> Greeted:
    while True:
        match conversation.receive(await websocket.get_message()):
            case Challenged() as challenge:
                await websocket.send_message(_introduction(conversation, address, challenge))
            case Greeted() as hello:
                check_scopes(address.url, hello)
                return hello
            case Turned(error=error):
                raise refusal(address.url, error)
            case _:
                pass  # nothing else concerns us before the greeting


def _introduction(
    conversation: Conversation, address: GatewayAddress, challenge: Challenged
) -> str:
    device = address.device
    return conversation.connect(
        address.token,
        version=version("openclaw-mission-control"),
        prove=None if device is None else lambda params: device.proof(params, challenge),
    )


def _no_gateway(address: GatewayAddress, error: BaseException) -> Unavailable:
    return Unavailable(f"{address.url} does not greet us as a Gateway does ({_reason(error)})")


def _closing(closed: ConnectionClosed) -> str:
    reason = closed.reason
    return f"{reason.code} {reason.reason or reason.name}" if reason else "no reason"


def _reason(error: BaseException) -> str:
    if isinstance(error, ConnectionClosed):
        return _closing(error)
    if isinstance(error, FOREIGN):
        return spoken_instead(error)
    return str(error) or type(error).__name__
