"""The link to the OpenClaw Gateway: one connection, kept for ever, and what others hold of it.

* `open_connection` greets the Gateway and reads what it says.
* `Gateway` is what the rest of the program holds: calls and watches that outlive connections.
* `GatewayLink` is the actor that keeps a Gateway connected.

Long, because what becomes of a call when its connection ends is decided by all three together.
"""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Never, NoReturn, TypeAlias
from urllib.parse import urlsplit

import attrs
import trio
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    wait_random_exponential,
)
from trio_websocket import (
    ConnectionClosed,
    HandshakeError,
    WebSocketConnection,
    wrap_client_stream,
)

from ..storage import Deadline, MissionError, Unavailable
from ..supervisor import Actor
from ._frames import (
    RETRY_AFTER_MS,
    Answer,
    Challenged,
    Conversation,
    Event,
    Failure,
    GatewayRefused,
    Greeted,
    Ignored,
    Settled,
    Turned,
    check_scopes,
    refusal,
    to_mission_error,
)

VERSION = "0.1.0"
MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""More than the 25 MiB that the Gateway sends at most."""
GREETING_TIMEOUT_S = 10.0
"""Also how long trio-websocket hangs on a server that hangs up before it answers."""
CLOSING_TIMEOUT_S = 2.0
CALL_TIMEOUT_S = 30.0
SILENT_TICKS = 2
"""After so many ticks without a word the connection is taken for dead."""
SENDING_LIMIT = 1000
"""Requests that may wait to be sent."""
WATCH_LIMIT = 1000
"""Events that a watch keeps for a slow reader."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 5.0
REFUSED_WAIT_S = 30.0
"""Between attempts that can only succeed if a person changes something."""

log = logging.getLogger(__name__)


class ConnectionLost(Unavailable):
    """The connection ended before the answer came: the request may have been carried out."""


@attrs.frozen
class Gap:
    """Events were missed here: read the state again."""

    why: str


Heard: TypeAlias = Event | Settled
"""What a connection tells its listener."""

Update: TypeAlias = Event | Settled | Gap
"""What a watch tells its reader."""


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
                with trio.fail_after(SILENT_TICKS * self.hello.tick_interval_s):
                    text = await self._websocket.get_message()
                self._hear(text)
        except ConnectionClosed as closed:
            self._end(f"the Gateway closed the connection ({_closing(closed)})")
        except trio.TooSlowError:
            self._end("the Gateway fell silent")
        finally:
            self._end("the connection was closed")

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
    url: str, token: str, listener: Callable[[Heard], None]
) -> AsyncIterator[Connection]:
    """Connect to the Gateway and greet it; read in the background while the block runs.

    Args:
        url: `ws://…` or `wss://…`.
        token: what `gateway.auth.token` says.
        listener: told of events at once, from the reading task; must not wait.

    Raises:
        Unavailable: nobody answers there, or not yet.
        GatewayRefused: only a person can help.
    """
    failure: Exception | None = None
    async with await _reach(url) as stream, trio.open_nursery() as nursery:
        try:
            connection = await _greet(nursery, stream, url, token, listener)
            nursery.start_soon(connection.read_all)
            nursery.start_soon(connection.send_all)
            yield connection
            await connection.close()
        except Exception as error:  # noqa: BLE001  # raised below, where no nursery wraps it
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _reach(url: str) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
    parts = urlsplit(url)
    host = parts.hostname or "127.0.0.1"
    try:
        with trio.fail_after(GREETING_TIMEOUT_S):
            if parts.scheme == "wss":
                return await trio.open_ssl_over_tcp_stream(host, parts.port or 443)
            return await trio.open_tcp_stream(host, parts.port or 80)
    except (OSError, trio.TooSlowError) as error:
        why = f"the Gateway at {url} cannot be reached: is it running? ({_reason(error)})"
        raise Unavailable(why) from error


async def _greet(
    nursery: trio.Nursery,
    stream: trio.SocketStream | trio.SSLStream[trio.SocketStream],
    url: str,
    token: str,
    listener: Callable[[Heard], None],
) -> Connection:
    parts = urlsplit(url)
    conversation = Conversation()
    try:
        with trio.fail_after(GREETING_TIMEOUT_S):
            websocket = await wrap_client_stream(
                nursery, stream, parts.netloc, parts.path or "/", max_message_size=MAX_MESSAGE_BYTES
            )
            hello = await _exchange(websocket, conversation, url, token)
    except (HandshakeError, ConnectionClosed, trio.TooSlowError) as error:
        why = f"{url} does not greet us as a Gateway does ({_reason(error)})"
        raise Unavailable(why) from error
    return Connection(websocket, conversation, hello, listener)


async def _exchange(
    websocket: WebSocketConnection, conversation: Conversation, url: str, token: str
) -> Greeted:
    while True:
        match conversation.receive(await websocket.get_message()):
            case Challenged():
                await websocket.send_message(conversation.connect(token, version=VERSION))
            case Greeted() as hello:
                check_scopes(url, hello)
                return hello
            case Turned(error=error):
                raise refusal(url, error)
            case _:
                pass  # nothing else concerns us before the greeting


def _closing(closed: ConnectionClosed) -> str:
    reason = closed.reason
    return f"{reason.code} {reason.reason or reason.name}" if reason else "no reason"


def _reason(error: BaseException) -> str:
    if isinstance(error, ConnectionClosed):
        return _closing(error)
    return str(error) or type(error).__name__


class Watch:
    """What happens to one run, and to others in its session, while somebody watches."""

    def __init__(self, run_id: str, session_key: str) -> None:
        self._run_id = run_id
        self._session_key = session_key
        self._in, self._out = trio.open_memory_channel[Update](WATCH_LIMIT)
        self._gap: Gap | None = None

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Update:
        if self._gap and not self._out.statistics().current_buffer_used:
            gap, self._gap = self._gap, None
            return gap
        return await self._out.receive()

    def tell(self, heard: Heard) -> None:
        """Pass on what concerns this run or session; never waits."""
        match heard:
            case Settled(run_id=run_id) if run_id == self._run_id:
                self._offer(heard)
            case Event(payload=payload) if self._concerns(payload):
                self._offer(heard)
            case _:
                pass

    def miss(self, why: str) -> None:
        """Mark that events may be missing here."""
        self._offer(Gap(why))

    def _concerns(self, payload: Mapping[str, Any]) -> bool:
        run_id, session_key = payload.get("runId"), payload.get("sessionKey")
        return run_id == self._run_id or session_key == self._session_key

    def _offer(self, update: Update) -> None:
        try:
            if self._gap:
                self._in.send_nowait(self._gap)
                self._gap = None
            self._in.send_nowait(update)
        except trio.WouldBlock:
            self._gap = Gap("the reader is slow")


class Gateway:
    """The Gateway as the rest of the program sees it: sometimes away, always the same object."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._token = token
        self._connection: Connection | None = None
        self._why_down = f"the Gateway at {url} has not been asked yet"
        self._change = trio.Event()
        self._watches: set[Watch] = set()

    @property
    def connected(self) -> bool:
        """Whether a call would reach the Gateway now."""
        return self._connection is not None and self._connection.is_open

    @property
    def boot_id(self) -> str | None:
        """Which life of the Gateway we are connected to."""
        return self._connection.hello.boot_id if self._connection and self.connected else None

    @property
    def why_down(self) -> str | None:
        """One line that says why it is away, and what to do where somebody can do something."""
        return None if self.connected else self._why_down

    async def changed(self) -> None:
        """Wait until `connected` or `why_down` has changed."""
        await self._change.wait()

    async def wait_connected(self) -> str:
        """Wait, if need be for ever, for a connection; return its boot id."""
        while (boot_id := self.boot_id) is None:
            await self.changed()
        return boot_id

    async def call(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        timeout: float = CALL_TIMEOUT_S,  # noqa: ASYNC109  # becomes an error of our taxonomy
    ) -> dict[str, Any]:
        """Ask the Gateway; return the payload of its answer.

        Raises:
            Unavailable: it is away; nothing was asked.
            ConnectionLost: it went away before it answered.
            Deadline: no answer after *timeout* seconds.
            MissionError: what the Gateway's error means.
        """
        if self._connection is None or not self.connected:
            raise Unavailable(self._why_down, retry_after_ms=RETRY_AFTER_MS)
        try:
            with trio.fail_after(timeout):
                return await self._connection.call(method, params)
        except trio.TooSlowError:
            late = f"the Gateway did not answer {method} in {timeout:g} s"
            raise Deadline(late, retry_after_ms=RETRY_AFTER_MS) from None

    @contextmanager
    def watch(self, run_id: str, session_key: str) -> Iterator[Watch]:
        """Collect what happens to the run and in its session, over all reconnections."""
        watch = Watch(run_id, session_key)
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    async def stay_connected(self) -> NoReturn:
        """Connect, and connect again whenever the connection is lost."""
        retrying = AsyncRetrying(
            sleep=trio.sleep,
            retry=retry_if_exception_type(Unavailable),
            wait=_patience,
            before_sleep=self._note_failure,
        )
        while True:
            why: str = await retrying(self._live_once)
            self._miss(why)
            await trio.sleep(random.uniform(0, FIRST_WAIT_S))  # noqa: S311  # jitter, no secret

    async def _live_once(self) -> str:
        """Live through one connection; return why it ended."""
        async with open_connection(self.url, self._token, self._hear) as connection:
            self._connection = connection
            log.info("connected to the Gateway %s at %s", connection.hello.version, self.url)
            self._tell_change()
            try:
                why = await connection.ended()
            finally:
                self._connection = None
            self._note(why)
            return why

    def _tell_change(self) -> None:
        self._change.set()
        self._change = trio.Event()

    def _hear(self, heard: Heard) -> None:
        if isinstance(heard, Event) and heard.missed:
            self._miss(f"{heard.missed} events did not arrive")
        for watch in self._watches:
            watch.tell(heard)

    def _miss(self, why: str) -> None:
        for watch in self._watches:
            watch.miss(why)

    def _note_failure(self, state: RetryCallState) -> None:
        self._note(str(_failure(state)))

    def _note(self, why: str) -> None:
        """Say once why there is no connection, however often it is tried."""
        if why != self._why_down:
            log.warning("%s", why)
        self._why_down = why
        self._tell_change()


_backoff = wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)


def _patience(state: RetryCallState) -> float:
    """How many seconds to wait before the next attempt to connect."""
    match _failure(state):
        case GatewayRefused():
            return REFUSED_WAIT_S
        case Unavailable(retry_after_ms=int(asked_for)):
            return asked_for / 1000
        case _:
            return _backoff(state)


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


class GatewayLink(Actor[Never]):
    """Keeps a Gateway connected for as long as it lives; there is nothing to tell it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def started(self) -> None:
        """Begin to connect; whether that succeeds, the Gateway itself tells."""
        self.ctx.start_soon(self._gateway.stay_connected, name="gateway connection")

    def state(self) -> object:
        """What operators may see: no token."""
        return {
            "url": self._gateway.url,
            "boot_id": self._gateway.boot_id,
            "why_down": self._gateway.why_down,
        }
