"""HTTP and WebSocket on trio by hypercorn, one client at a time.

hypercorn's own `serve` has one nursery for all: what it raises over one client's odd bytes would
end the connections of all others.  Here it ends that client's.
"""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, cast

import attrs
import trio
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ASGIFramework, ConnectionState, LifespanState
from hypercorn.utils import wrap_app

if TYPE_CHECKING:
    from starlette.types import ASGIApp

MAX_BODY_BYTES = 4 * 2**20
MAX_HEAD_BYTES = 16 * 1024
TAKE_WITHIN_S = 10.0
"""A client that does not take what it is sent for so long is cut off."""

log = logging.getLogger("mission_control.http")


async def serve(app: ASGIApp, listening: socket.socket) -> None:
    """Serve *app* to whoever connects to *listening*, until cancelled; the socket stays open."""
    config = Config()
    config.accesslog, config.errorlog = None, log
    config.websocket_max_message_size = MAX_BODY_BYTES
    config.h11_max_incomplete_size = MAX_HEAD_BYTES
    # Two spellings of ASGI: TypedDicts here, mappings there.
    wrapped = wrap_app(cast("ASGIFramework", app), MAX_BODY_BYTES, "asgi")
    attend = partial(_attend, wrapped, config, WorkerContext(None))
    door = trio.SocketListener(trio.socket.from_stdlib_socket(listening.dup()))
    await trio.serve_listeners(attend, [door])


async def _attend(
    app: AppWrapper, config: Config, context: WorkerContext, stream: trio.SocketStream
) -> None:
    """Serve one client to its end."""
    state = ConnectionState(LifespanState({}))
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cut_when_cancelled, stream)
            # It asks for no more of its stream than _Client has.
            client = cast("trio.SSLStream[trio.SocketStream]", _Client(stream))
            await TCPServer(app, config, context, state, client)
            nursery.cancel_scope.cancel()
    except Exception:  # whatever it is, it is one client's: the others must not notice
        log.info("a connection failed", exc_info=True)


async def _cut_when_cancelled(stream: trio.SocketStream) -> None:
    """Wake a send that waits for a client: hypercorn shields its sends from cancellation."""
    try:
        await trio.sleep_forever()
    finally:
        with suppress(OSError):  # closed already
            stream.socket.shutdown(socket.SHUT_RDWR)


@attrs.frozen
class _Client:
    """A stream whose sends end: hypercorn waits for ever for a client that does not read."""

    _stream: trio.SocketStream

    @property
    def socket(self) -> trio.socket.SocketType:
        return self._stream.socket

    async def receive_some(self, max_bytes: int) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

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
