"""HTTP and WebSocket on trio by hypercorn, one client at a time.

hypercorn's own `serve` has one nursery for all: what it raises over one client's odd bytes would
end the connections of all others.  Here it ends that client's.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias, cast

import attrs
import trio
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ASGIFramework, ConnectionState, LifespanState
from hypercorn.utils import wrap_app

from ._http import CLOSE_WITHIN_S, StrictServer, Upgrade
from ._limits import Limits
from ._peer import LOOPBACK, OWN_USER, Peer, may_ask, uid_of_peer
from ._visits import Strangers, Visit

if TYPE_CHECKING:
    from starlette.types import ASGIApp

TAKE_WITHIN_S = 10.0
"""A client that does not take what it is sent for so long is cut off."""
MAX_RECEIVE_BYTES = 16 * 1024
"""At once: so many small frames are gone through before others have their turn."""

log = logging.getLogger("mission_control.http")


async def serve(
    app: ASGIApp, bridge: Bridge, doors: Sequence[socket.socket], limits: Limits
) -> None:
    """Serve *app* to whoever connects to one of *doors*, until cancelled; these stay open.

    The application finds the :class:`Visit` as `visit` in the state of its scope.  WebSockets of
    the bridge go to *bridge*, which answers the request itself.
    """
    async with trio.open_nursery() as nursery:
        for door in doors:
            nursery.start_soon(_Door(app, bridge, limits).serve, door)


class _Door:
    """What all connections of one listening socket share."""

    def __init__(self, app: ASGIApp, bridge: Bridge, limits: Limits) -> None:
        # Two spellings of ASGI: TypedDicts here, mappings there.
        self._app: AppWrapper = wrap_app(cast("ASGIFramework", app), limits.message_bytes, "asgi")
        self._bridge = bridge
        self._limits = limits
        self._config = _config(limits)
        self._context = WorkerContext(None)
        self._strangers = Strangers(limits.strangers)

    async def serve(self, listening: socket.socket) -> None:
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening.dup()))
        await trio.serve_listeners(self._attend, [listener])

    async def _attend(self, stream: trio.SocketStream) -> None:
        """Serve one client to its end."""
        peer = _peer_of(stream.socket)
        if peer is None:
            await trio.aclose_forcefully(stream)
            return
        with trio.CancelScope() as scope:
            visit = Visit(peer, scope, self._strangers, self._limits.message_bytes)
            self._strangers.enter(visit)
            try:
                await self._talk(stream, visit)
            except Exception:  # whatever it is, it is one client's: the others must not notice
                log.info("a connection failed", exc_info=True)
            finally:
                self._strangers.leave(visit)

    async def _talk(self, stream: trio.SocketStream, visit: Visit) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cut_when_cancelled, stream)
            upgrade = await self._server(stream, visit).serve()
            if upgrade is not None:
                try:
                    await self._bridge(upgrade, visit, stream)
                finally:
                    with trio.move_on_after(CLOSE_WITHIN_S, shield=True):
                        await _close(stream)
            nursery.cancel_scope.cancel()

    def _server(self, stream: trio.SocketStream, visit: Visit) -> StrictServer:
        return StrictServer(
            self._limits.headers,
            lambda: visit.message_bytes,
            self._app,
            self._config,
            self._context,
            ConnectionState(LifespanState({"visit": visit})),
            _Client(stream),
        )


def _config(limits: Limits) -> Config:
    config = Config()
    config.accesslog, config.errorlog = None, log
    config.include_server_header = False
    config.h11_max_incomplete_size = limits.header_bytes
    config.keep_alive_timeout = limits.head_within_s  # until the first request as well
    return config


def _peer_of(connected: trio.socket.SocketType) -> Peer | None:
    """Return who connected; None for another user's program, whatever it may say."""
    if connected.family != socket.AF_UNIX:
        return LOOPBACK
    uid = uid_of_peer(connected)
    if may_ask(uid):
        return OWN_USER
    log.warning("refused a program of user %d on the Unix socket", uid)
    return None


async def _cut_when_cancelled(stream: trio.SocketStream) -> None:
    """Wake a send that waits for a client: hypercorn shields its sends from cancellation."""
    try:
        await trio.sleep_forever()
    finally:
        with suppress(OSError):  # closed already
            stream.socket.shutdown(socket.SHUT_RDWR)


async def _close(stream: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
        await stream.send_eof()
    await stream.aclose()


@attrs.frozen
class _Client:
    """A stream whose sends end: hypercorn waits for ever for a client that does not read.

    It has all that hypercorn asks of a stream.
    """

    _stream: trio.SocketStream

    @property
    def socket(self) -> trio.socket.SocketType:
        return self._stream.socket

    async def receive_some(self, max_bytes: int) -> bytes | bytearray:
        return await self._stream.receive_some(min(max_bytes, MAX_RECEIVE_BYTES))

    async def send_all(self, data: bytes) -> None:
        with trio.move_on_after(TAKE_WITHIN_S):
            await self._stream.send_all(data)
            return
        await trio.aclose_forcefully(self._stream)  # which ends hypercorn's reading as well
        raise trio.BrokenResourceError("the client does not read")

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


Bridge: TypeAlias = Callable[[Upgrade, Visit, trio.SocketStream], Awaitable[None]]
"""Answers a request for a WebSocket, and talks with who asked to the end."""
