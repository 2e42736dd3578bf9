"""A client of the sidecar's own API, for the command line and for tests."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio
import trio_websocket

from ..storage import Unauthenticated, Unavailable, from_wire

CONNECT_WITHIN_S = 10.0
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
        except trio_websocket.ConnectionClosed:
            pass
        finally:
            self._send_event.close()
            for waiting in self._waiting.values():
                waiting.close()


@asynccontextmanager
async def connect(url: str, token: str) -> AsyncIterator[Client]:
    """Connect to the sidecar at *url* (`ws://host:port/rpc`).

    Raises:
        Unavailable: nobody listens there.
        Unauthenticated: the token was refused.
    """
    headers = [(b"Authorization", f"Bearer {token}".encode())]
    send, receive = trio.open_memory_channel[dict[str, Any]](10_000)
    async with trio.open_nursery() as nursery:
        try:
            with trio.fail_after(CONNECT_WITHIN_S):
                connection = await trio_websocket.connect_websocket_url(
                    nursery, url, extra_headers=headers, max_message_size=MAX_MESSAGE_BYTES
                )
        except trio_websocket.ConnectionRejected as rejected:
            raise _refusal(url, rejected) from None
        except (OSError, trio.TooSlowError, trio_websocket.HandshakeError) as error:
            raise Unavailable(
                f"no sidecar answers at {url} ({str(error) or 'too slow'}): start one with"
                " 'mission-control run', or name another with --url"
            ) from None
        client = Client(receive, connection, send)
        nursery.start_soon(client._read)  # noqa: SLF001 - made here
        yield client
        await connection.aclose()
        nursery.cancel_scope.cancel()


def _refusal(url: str, rejected: trio_websocket.ConnectionRejected) -> Exception:
    try:
        return from_wire(json.loads(rejected.body or b"")["error"])
    except (ValueError, KeyError, TypeError):
        if rejected.status_code == Unauthenticated.http_status:
            return Unauthenticated(f"{url} refused the token")
        return Unavailable(f"{url} answered {rejected.status_code}: is that a sidecar?")
