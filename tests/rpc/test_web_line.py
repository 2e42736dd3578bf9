"""A WebSocket whose reader is the one who answers: messages, endings, odd clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import pytest
import trio
import trio.testing
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    TextMessage,
)
from wsproto.utilities import RemoteProtocolError

from mission_control.gateway_bridge._http import Upgrade
from mission_control.gateway_bridge._server import TAKE_WITHIN_S
from mission_control.gateway_bridge._web_line import LineEnded, WebLine
from rig import PATIENCE_S

HEADERS = (
    (b"host", b"127.0.0.1:1"),
    (b"connection", b"Upgrade"),
    (b"upgrade", b"websocket"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"sec-websocket-protocol", b"first, second"),
)
MOST_BYTES = 1000


class Client:
    """The other end of a line, played by wsproto."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._protocol = Connection(ConnectionType.CLIENT)

    async def shake_hands(self) -> None:
        """Read the answer to the handshake; what it says is looked at elsewhere."""
        head = b""
        while b"\r\n\r\n" not in head:
            head += await self._more(1)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-protocol: second" in head.lower()

    async def send(self, *events: Event) -> None:
        await self.stream.send_all(self.written(*events))

    def written(self, *events: Event) -> bytes:
        return b"".join(self._protocol.send(event) for event in events)

    async def hears(self) -> Event:
        while True:
            for event in self._protocol.events():
                return event
            self._protocol.receive_data(await self._more(4096))

    async def _more(self, most: int) -> bytes:
        data = bytes(await self.stream.receive_some(most))
        assert data, "the line ended without another word"
        return data


@asynccontextmanager
async def talking(
    ends: tuple[trio.abc.Stream, trio.abc.Stream],
) -> AsyncIterator[tuple[WebLine, Client]]:
    line = WebLine(cast("Any", ends[0]), lambda: MOST_BYTES)
    client = Client(ends[1])
    assert line.offered(Upgrade(b"/bridge", HEADERS, b"")) == ["first", "second"]
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.accept, "second")
            await client.shake_hands()
        yield line, client


@contextmanager
def ending() -> Iterator[None]:
    with pytest.raises(LineEnded):
        yield


async def test_messages_come_whole_and_in_order_however_they_were_sent() -> None:
    async with talking(trio.testing.memory_stream_pair()) as (line, client):
        await client.send(
            TextMessage("one"),
            TextMessage("tw", message_finished=False),
            Ping(b"there?"),
            TextMessage("o ü", message_finished=True),
            BytesMessage(b"thr", message_finished=False),
            BytesMessage(b"ee"),
        )
        assert [await line.receive() for _ in range(3)] == ["one", "two ü", b"three"]
        assert await client.hears() == Pong(b"there?")


async def test_a_message_that_comes_byte_by_byte_is_one() -> None:
    ends = trio.testing.lockstep_stream_pair()
    async with talking(ends) as (line, client), trio.open_nursery() as nursery:
        whole = Connection(ConnectionType.CLIENT).send(TextMessage("byte by byte"))

        async def drip() -> None:
            for at in range(len(whole)):
                await client.stream.send_all(whole[at : at + 1])

        nursery.start_soon(drip)
        assert await line.receive() == "byte by byte"


async def test_what_is_sent_by_many_at_once_is_not_mixed_up() -> None:
    ends = trio.testing.lockstep_stream_pair()
    async with talking(ends) as (line, client), trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(line.send, str(number) * 2000)
        heard = {cast("TextMessage", await client.hears()).data for _ in range(10)}
        assert heard == {str(number) * 2000 for number in range(10)}


async def test_a_goodbye_is_returned_and_the_last() -> None:
    async with talking(trio.testing.memory_stream_pair()) as (line, client):
        await client.send(TextMessage("last"), CloseConnection(4000, "enough"))
        assert await line.receive() == "last"
        with ending():
            await line.receive()
        assert await client.hears() == CloseConnection(4000, "enough")
        with ending():
            await line.send("too late")


@pytest.mark.parametrize("nonsense", [b"\x83\x80abcd", b"\x81\x05hello", b"\xff" * 99])
async def test_nonsense_is_answered_by_a_goodbye(nonsense: bytes) -> None:
    async with talking(trio.testing.memory_stream_pair()) as (line, client):
        await client.stream.send_all(nonsense)
        with ending():
            await line.receive()
        goodbye = await client.hears()
        assert isinstance(goodbye, CloseConnection)
        assert goodbye.code == 1002


@pytest.mark.parametrize("pieces", [1, 3])
async def test_who_sends_too_long_a_message_may_end_it_and_is_told_why(pieces: int) -> None:
    ends = trio.testing.memory_stream_pair()
    async with talking(ends) as (line, client), trio.open_nursery() as nursery:

        async def listen() -> None:
            assert await line.receive() == "before"
            with ending():
                await line.receive()

        nursery.start_soon(listen)
        await client.send(TextMessage("before"))
        piece = "x" * (MOST_BYTES // pieces + 1)
        for _ in range(pieces):
            await client.send(TextMessage(piece, message_finished=False))
        more = client.written(TextMessage(piece, message_finished=False))
        goodbye = await client.hears()
        assert isinstance(goodbye, CloseConnection)
        assert goodbye.code == 1009
        for _ in range(100):
            await client.stream.send_all(more)
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        await client.send(goodbye.response())


async def test_who_goes_on_and_on_with_too_long_a_message_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mission_control.gateway_bridge._web_line.IGNORED_BYTES", 10_000)
    async with talking(trio.testing.memory_stream_pair()) as (line, client):
        for _ in range(20):
            await client.send(TextMessage("x" * MOST_BYTES, message_finished=False))
        with ending():
            await line.receive()


async def test_a_message_as_long_as_may_be_is_heard() -> None:
    async with talking(trio.testing.memory_stream_pair()) as (line, client):
        await client.send(TextMessage("x" * MOST_BYTES), TextMessage("y" * MOST_BYTES))
        assert [len(await line.receive()) for _ in range(2)] == [MOST_BYTES, MOST_BYTES]


async def test_empty_pieces_of_a_message_are_not_kept() -> None:
    async with talking(trio.testing.memory_stream_pair()) as (line, client):
        for piece in ("", "a", *1000 * [""], "b", ""):
            await client.send(TextMessage(piece, message_finished=False))
        await client.send(Ping())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.receive)
            await client.hears()
            assert len(line._parts) == 3
            await client.send(TextMessage("c"), TextMessage(""))
        assert await line.receive() == ""


async def test_the_end_of_the_stream_is_the_end_of_the_line() -> None:
    async with talking(trio.testing.memory_stream_pair()) as (line, client):
        await client.stream.aclose()
        with ending():
            await line.receive()
        with ending():
            await line.send("anybody there?")


async def test_a_client_that_takes_nothing_is_cut_off(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ends = trio.testing.lockstep_stream_pair()
    async with talking(ends) as (line, _), trio.open_nursery() as nursery:
        nursery.start_soon(line.cut_when_stuck)
        began = trio.current_time()
        with ending():
            await line.send("x")
        assert TAKE_WITHIN_S <= trio.current_time() - began <= 2 * TAKE_WITHIN_S
        nursery.cancel_scope.cancel()


async def test_a_client_that_is_slow_but_takes_what_it_is_sent_is_not_cut_off(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ends = trio.testing.lockstep_stream_pair()
    async with talking(ends) as (line, client), trio.open_nursery() as nursery:
        nursery.start_soon(line.cut_when_stuck)

        async def read_slowly() -> None:
            for _ in range(5):
                await trio.sleep(0.9 * TAKE_WITHIN_S)
                await client.hears()

        nursery.start_soon(read_slowly)
        for _ in range(5):
            await line.send("x")
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("name", [b"host", b"connection", b"sec-websocket-protocol"])
def test_a_request_that_is_no_text_is_no_beginning(name: bytes) -> None:
    headers = [(key, b"\xff" if key == name else value) for key, value in HEADERS]
    line = WebLine(cast("Any", None), lambda: MOST_BYTES)
    with pytest.raises(RemoteProtocolError) as error:
        line.offered(Upgrade(b"/bridge", headers, b""))
    assert error.value.event_hint is not None


def test_a_request_that_is_none_for_a_websocket_is_no_beginning() -> None:
    for name in (b"sec-websocket-key", b"sec-websocket-version", b"connection"):
        headers = [header for header in HEADERS if header[0] != name]
        line = WebLine(cast("Any", None), lambda: MOST_BYTES)
        with pytest.raises(RemoteProtocolError) as error:
            line.offered(Upgrade(b"/bridge", headers, b""))
        assert error.value.event_hint is not None
