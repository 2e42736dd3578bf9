"""hypercorn's HTTP/1.1 and WebSocket, with less in it: no HTTP/2, no compression, no guessing.

What is asked of one path, a WebSocket, is handed over together with its connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import attrs
import h11
import trio
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.ws_stream import FrameTooLargeError, WebsocketBuffer, WSStream
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer

from ._head import flaw_of_head, flaw_of_request

if TYPE_CHECKING:
    from wsproto.events import Message

IGNORED_BYTES = 64 * 2**20
"""Of a message that is too long; who sends more is cut off."""

CLOSE_WITHIN_S = 1.0
"""To say goodbye takes no longer, or is not done."""

BRIDGE_PATH = b"/bridge"
"""Where WebSockets are handed over."""

_EXTENSIONS = b"sec-websocket-extensions"


@attrs.frozen
class Upgrade:
    """A request for a WebSocket that has no answer yet."""

    target: bytes
    headers: Sequence[tuple[bytes, bytes]]
    early: bytes
    """What came behind it, too soon."""


class Upgraded(Exception):
    """The connection is no longer ours; `args` is its :class:`Upgrade`."""


class StrictServer(TCPServer):
    """Serves one connection by :class:`StrictProtocol`.

    Args:
        max_headers: of one request.
        message_bytes: returns what a message may hold now.
        *rest: as hypercorn's.
    """

    def __init__(self, max_headers: int, message_bytes: Callable[[], int], *rest: Any) -> None:
        super().__init__(*rest)
        self._max_headers = max_headers
        self._message_bytes = message_bytes
        self.send_lock = cast("trio.Lock", SendLock())

    async def serve(self) -> Upgrade | None:
        """Serve to the end of the connection; or return the request that is another's to answer."""
        upgrade = None
        try:
            async with TaskGroup() as task_group:
                self._task_group = task_group
                self.protocol = cast("Any", self._speak(task_group))
                await self.protocol.initiate()
                await self.idle_task.restart(task_group, self._idle_timeout)
                upgrade = await self._read()
        except* OSError:
            pass  # the client went, or was cut
        finally:
            if upgrade is None:
                with trio.move_on_after(CLOSE_WITHIN_S, shield=True):
                    await self._close()
        return upgrade

    async def _read(self) -> Upgrade | None:
        try:
            await self._read_data()
        except Upgraded as upgraded:
            (upgrade,) = upgraded.args
            return cast("Upgrade", upgrade)
        return None

    def _speak(self, task_group: TaskGroup) -> StrictProtocol:
        return StrictProtocol(
            self._max_headers,
            self._message_bytes,
            self.app,
            self.config,
            self.context,
            task_group,
            self.state,
            False,  # noqa: FBT003 - no TLS
            None,
            None,
            self.protocol_send,
        )


class SendLock:
    """Of trio's locks the one that lets in at once where nobody is: that is a pass less a frame."""

    def __init__(self) -> None:
        self._lock = trio.Lock()

    async def __aenter__(self) -> None:
        try:
            self._lock.acquire_nowait()
        except trio.WouldBlock:
            await self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()

    def locked(self) -> bool:
        """Whether somebody is in."""
        return self._lock.locked()


class StrictProtocol(H11Protocol):
    """What hypercorn makes of HTTP/1.1, of heads that have one reading."""

    def __init__(self, max_headers: int, message_bytes: Callable[[], int], *rest: Any) -> None:
        super().__init__(*rest)
        self._message_bytes = message_bytes
        self.connection = _StrictConnection(max_headers, self.config.h11_max_incomplete_size)

    async def _check_protocol(self, event: h11.Request) -> None:
        """Stay with HTTP/1.1, whatever else the client would like to speak."""

    async def _create_stream(self, request: h11.Request) -> None:
        if _is_for_bridge(request):
            early, _ = self.connection.trailing_data
            raise Upgraded(Upgrade(request.target, list(request.headers), early))
        # Compression is not offered: 64 kB of it would be 64 MB of memory.
        kept = [each for each in request.headers.raw_items() if each[0].lower() != _EXTENSIONS]
        if len(kept) < len(request.headers):
            request = h11.Request(
                method=request.method,
                headers=kept,
                target=request.target,
                http_version=request.http_version,
            )
        await super()._create_stream(request)
        if isinstance(self.stream, WSStream):
            self.stream.buffer = _BoundedBuffer(self._message_bytes)


class _StrictConnection(h11.Connection):
    """Looks at each head before h11 does."""

    def __init__(self, max_headers: int, max_head_bytes: int) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=max_head_bytes)
        self._max_headers = max_headers
        self._max_head_bytes = max_head_bytes

    def next_event(self) -> Any:
        """Return h11's next event.

        Raises:
            RemoteProtocolError: the head is refused; it carries the HTTP status.
        """
        if self.their_state is h11.IDLE:
            head = self.trailing_data[0]
            _refuse_where(flaw_of_head(head, self._max_headers, self._max_head_bytes))
        event = super().next_event()
        if isinstance(event, h11.Request):
            _refuse_where(flaw_of_request(event.http_version, event.target, event.headers))
        return event


def _is_for_bridge(request: h11.Request) -> bool:
    if (request.method, request.http_version) != (b"GET", b"1.1"):
        return False
    path = request.target.partition(b"?")[0]
    upgrades = [value.lower() for name, value in request.headers if name == b"upgrade"]
    return path == BRIDGE_PATH and upgrades == [b"websocket"]


def _refuse_where(status: int | None) -> None:
    if status is not None:
        raise h11.RemoteProtocolError("this head is refused", error_status_hint=status)


class _BoundedBuffer(WebsocketBuffer):
    """Holds no more than it may; hypercorn's takes in what it then complains of, and goes on."""

    def __init__(self, message_bytes: Callable[[], int]) -> None:
        super().__init__(0)
        self._message_bytes = message_bytes
        self._ignored = 0

    def extend(self, event: Message[Any]) -> None:
        """Add a fragment.

        Raises:
            FrameTooLargeError: the message is too long, which its sender is told.
            ConnectionAbortedError: the sender goes on and on all the same.
        """
        size, most = len(event.data), self._message_bytes()
        if self._ignored or self.length + size > most:
            self.clear()
            # Somebody in the middle of sending must be able to come to the end and read why.
            self._ignored += size + 1
            if self._ignored > IGNORED_BYTES:
                raise ConnectionAbortedError("the client does not end its message")
            raise FrameTooLargeError
        self.max_length = most
        super().extend(event)
