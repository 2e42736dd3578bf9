"""A client of the sidecar's own API, for the command line and for tests."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import attrs
import trio
import trio_websocket

from ..storage import Forbidden, Invalid, Unavailable, from_wire
from ._foreign import FOREIGN, spoken_instead
from ._local_socket import short_name
from ._origin import LOCAL_HOST
from ._peer import may_be_told, uid_of_peer
from ._tcp_table import End, read_table, servers

UNIX = "unix:"
CONNECT_WITHIN_S = 10.0
CLOSE_WITHIN_S = 2.0
MAX_EVENTS = 10_000
"""Events that may wait to be read; with one more the connection ends."""

Stream: TypeAlias = trio.SocketStream | trio.SSLStream[trio.SocketStream]
MAX_MESSAGE_BYTES = 32 * 2**20


@attrs.define(eq=False)
class Client:
    """One connection.  Calls may be made side by side; events arrive on `events`."""

    events: trio.MemoryReceiveChannel[dict[str, Any]]
    _connection: trio_websocket.WebSocketConnection
    _send_event: trio.MemorySendChannel[dict[str, Any]]
    _ids: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1))
    _waiting: dict[int, trio.MemorySendChannel[dict[str, Any]]] = attrs.field(factory=dict)

    async def call(self, method: str, **params: object) -> Any:
        """Call *method* and return its result.

        Raises:
            MissionError: as the sidecar answered.
            Unavailable: the connection was lost; it may have happened all the same.
        """
        id_ = next(self._ids)
        send, receive = trio.open_memory_channel[dict[str, Any]](1)
        self._waiting[id_] = send
        try:
            text = json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": params})
            await self._connection.send_message(text)
            reply = await receive.receive()
        except (trio_websocket.ConnectionClosed, trio.EndOfChannel):
            raise Unavailable("the connection to the sidecar was lost") from None
        finally:
            del self._waiting[id_]
        if "error" in reply:
            raise from_wire(reply["error"])
        return reply["result"]

    async def _read(self) -> None:
        try:
            while True:
                message = json.loads(await self._connection.get_message())
                if "method" in message:
                    self._send_event.send_nowait(message)
                elif (waiting := self._waiting.get(message["id"])) is not None:
                    waiting.send_nowait(message)
        except (trio_websocket.ConnectionClosed, trio.WouldBlock, trio.BrokenResourceError):
            pass  # gone, or nobody reads the events
        finally:
            self._send_event.close()
            for waiting in self._waiting.values():
                waiting.close()


@asynccontextmanager
async def connect(url: str, token: str) -> AsyncIterator[Client]:
    """Connect to the sidecar at *url*: `ws://host:port/rpc`, or `unix:` and the path of a socket.

    Raises:
        Invalid: that is no such address.
        Forbidden: another user's program listens there; it was told nothing.
        Unavailable: nobody listens there.
        Unauthenticated: the token was refused.
    """
    send, receive = trio.open_memory_channel[dict[str, Any]](MAX_EVENTS)
    failure: BaseException | None = None
    try:
        async with await _reach(url) as stream, trio.open_nursery() as nursery:
            try:
                client = Client(receive, await _greet(nursery, stream, url, token), send)
                nursery.start_soon(client._read)  # noqa: SLF001 - made here
                yield client
                with trio.move_on_after(CLOSE_WITHIN_S):
                    await client._connection.aclose()  # noqa: SLF001
            except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - raised below, ungrouped
                failure = error
            nursery.cancel_scope.cancel()
    except* FOREIGN as foreign:  # by the task that reads
        failure = _refusal(url, foreign.exceptions[0])
    if failure is not None:
        raise failure


async def _reach(url: str) -> Stream:
    if url.startswith(UNIX):
        return await _reach_local(url)
    try:
        parts = urlsplit(url)
        host, port, open_stream = parts.hostname, parts.port, _STREAMS[parts.scheme]
    except (KeyError, ValueError):
        host, port, open_stream = None, None, trio.open_tcp_stream
    if not host or port is None:
        raise Invalid(f"no address of a sidecar: {url}; it is as http://127.0.0.1:18700")
    try:
        with trio.fail_after(CONNECT_WITHIN_S):
            stream = await open_stream(host, port)
    except (OSError, trio.TooSlowError) as error:
        raise _nobody(url, error) from None
    await _check_user(url, stream)
    return stream


async def _reach_local(url: str) -> trio.SocketStream:
    try:
        with short_name(Path(url.removeprefix(UNIX))) as name:
            stream = await trio.open_unix_socket(name)
    except OSError as error:
        raise _nobody(url, error) from None
    await _check_user(url, stream)
    return stream


async def _check_user(url: str, stream: Stream) -> None:
    """Close *stream* and refuse it where a program of another user is at its other end."""
    try:
        others = [uid for uid in _users_of(stream) if not may_be_told(uid)]
    except OSError as error:  # it has hung up
        await trio.aclose_forcefully(stream)
        raise _nobody(url, error) from None
    if others:
        await trio.aclose_forcefully(stream)
        raise Forbidden(
            f"a program of user {others[0]} listens on {url}: it gets no token of yours"
        )


def _users_of(stream: Stream) -> set[int]:
    """Return whose program is at the other end; nobody where the kernel does not tell.

    Of TCP Linux does, for the programs of its own host.
    """
    if isinstance(stream, trio.SSLStream):
        return set()  # a certificate proves more
    if stream.socket.family == trio.socket.AF_UNIX:
        return {uid_of_peer(stream.socket)}
    theirs = End.of(stream.socket.getpeername())
    if not theirs.address.is_loopback:
        return set()
    return servers(read_table(), End.of(stream.socket.getsockname()), theirs)


_STREAMS: dict[str, Callable[[str, int], Awaitable[Stream]]] = {
    "ws": trio.open_tcp_stream,
    "wss": trio.open_ssl_over_tcp_stream,
}


async def _greet(
    nursery: trio.Nursery,
    stream: Stream,
    url: str,
    token: str,
) -> trio_websocket.WebSocketConnection:
    host, resource = _resource(url)
    headers = [(b"Authorization", f"Bearer {token}".encode())]
    try:
        # trio-websocket's own connect leaks its socket where the server hangs up first.
        with trio.fail_after(CONNECT_WITHIN_S):
            return await trio_websocket.wrap_client_stream(
                nursery,
                stream,
                host,
                resource,
                extra_headers=headers,
                max_message_size=MAX_MESSAGE_BYTES,
            )
    except (OSError, trio.TooSlowError, trio_websocket.HandshakeError) as error:
        raise _nobody(url, error) from None


def _resource(url: str) -> tuple[str, str]:
    if url.startswith(UNIX):
        return LOCAL_HOST, "/rpc"
    parts = urlsplit(url)
    return parts.netloc, parts.path


def _nobody(url: str, error: Exception) -> Unavailable:
    return Unavailable(
        f"no sidecar answers at {url} ({str(error) or 'too slow'}): start one with"
        " 'mission-control run', or name another with --url"
    )


def _refusal(url: str, foreign: BaseException) -> Exception:
    body = foreign.body if isinstance(foreign, trio_websocket.ConnectionRejected) else None
    try:
        return from_wire(json.loads(body or b"")["error"])
    except (ValueError, KeyError, TypeError):
        spoken = spoken_instead(foreign)
        return Unavailable(f"{url} answered {spoken}: is that a sidecar?")
