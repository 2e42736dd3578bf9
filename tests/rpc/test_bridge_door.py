"""The plugin's door: the rules of the other doors, kept where no web server stands before it."""

from __future__ import annotations

import math
from contextlib import AsyncExitStack
from typing import Any, cast

import pytest
import trio
import trio.testing

from besieged import Besiege, Besieged, frame, rest, status, until_blank_line
from mission_control.gateway_bridge._bridge_door import BridgeDoor
from mission_control.gateway_bridge._http import Upgrade
from mission_control.gateway_bridge._origin import OriginRules, loopback_rule
from mission_control.gateway_bridge._peer import LOOPBACK
from mission_control.gateway_bridge._server import TAKE_WITHIN_S
from mission_control.gateway_bridge._visits import STRANGERS_MESSAGE_BYTES, Strangers, Visit
from rig import PATIENCE_S
from system_doors import call, websocket

SUBPROTOCOL = "Sec-WebSocket-Protocol: mission-bridge.v1"
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    SUBPROTOCOL,
)

PING = 0x9


def knock(siege: Besieged, *lines: str, path: str = "/bridge", door: str = "tcp") -> bytes:
    return siege.head(f"GET {path}", *UPGRADE, *lines, door=door, token="")


@pytest.mark.parametrize("door", ["tcp", "unix"])
async def test_it_is_at_both_doors_and_agrees_on_its_subprotocol_alone(
    besiege: Besiege, door: str
) -> None:
    async with besiege() as siege, await siege.reach(door) as stream:
        await stream.send_all(
            knock(siege, "Sec-WebSocket-Extensions: permessage-deflate", door=door)
        )
        answer = (await until_blank_line(stream)).lower()
        assert status(answer) == 101
        assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n" in answer
        assert b"sec-websocket-protocol: mission-bridge.v1\r\n" in answer
        assert b"extensions" not in answer


@pytest.mark.parametrize("door", ["tcp", "unix"])
async def test_pages_of_other_sites_do_not_come_in(besiege: Besiege, door: str) -> None:
    async with besiege() as siege:
        for line in (
            "Origin: null",
            "Origin: https://evil.example",
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Site: same-site",
        ):
            answer = await siege.exchange(knock(siege, line, door=door), door)
            assert (line, status(answer)) == (line, 403)
            assert b'"kind":"forbidden"' in answer


@pytest.mark.parametrize("door", ["tcp", "unix"])
async def test_another_name_for_us_does_not_come_in(besiege: Besiege, door: str) -> None:
    async with besiege() as siege:
        ours = knock(siege, door=door)
        other = siege.host if door == "unix" else "localhost"
        for host in (other, "evil.example", "127.0.0.1", f"{siege.host}.evil.example"):
            start, _, end = ours.partition(b"Host: ")
            foreign = start + b"Host: " + host.encode() + b"\r\n" + end.partition(b"\r\n")[2]
            assert (host, status(await siege.exchange(foreign, door))) == (host, 403)


@pytest.mark.parametrize("host", [b"", b"\xff\xfe", b"x" * 300, b"a..b", b"xn--a"])
async def test_a_name_that_is_none_does_not_come_in_either(besiege: Besiege, host: bytes) -> None:
    async with besiege() as siege:
        start, _, end = knock(siege).partition(b"Host: ")
        answer = await siege.exchange(
            start + b"Host: " + host + b"\r\n" + end.partition(b"\r\n")[2]
        )
        assert status(answer) in (400, 403)


async def test_a_token_in_the_address_is_refused_and_not_repeated(besiege: Besiege) -> None:
    async with besiege() as siege:
        answer = await siege.exchange(knock(siege, path=f"/bridge?token={siege.mc.token}"))
        assert status(answer) == 400
        assert siege.mc.token.encode() not in answer


@pytest.mark.parametrize(
    ("instead_of", "line", "expected"),
    [
        (SUBPROTOCOL, "Sec-WebSocket-Protocol: mission-bridge.v2", 400),
        (SUBPROTOCOL, "X: y", 400),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 12", 426),
        ("Sec-WebSocket-Version: 13", "X: y", 400),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "X: y", 400),
        ("Connection: Upgrade", "Connection: close", 400),
        ("Upgrade: websocket", "Upgrade: h2c", 404),
        ("GET /bridge HTTP/1.1", "GET /bridge HTTP/1.0", 400),
        ("GET /bridge HTTP/1.1", "POST /bridge HTTP/1.1", 404),
    ],
)
async def test_what_is_no_request_for_it_is_refused(
    besiege: Besiege, instead_of: str, line: str, expected: int
) -> None:
    async with besiege() as siege:
        text = knock(siege).replace(instead_of.encode(), line.encode())
        async with await siege.reach() as stream:
            await stream.send_all(text)
            assert status(await until_blank_line(stream)) == expected


async def test_who_may_not_ask_is_told_so_before_what_it_asks_is_looked_at(
    besiege: Besiege,
) -> None:
    async with besiege() as siege:
        for line in UPGRADE[2:]:
            text = knock(siege, "Origin: https://evil.example").replace(line.encode(), b"X: \xff")
            assert status(await siege.exchange(text)) == 403


@pytest.mark.parametrize("path", ["/bridge", "/rpc"])
@pytest.mark.parametrize("line", ["Content-Length: 400", "Transfer-Encoding: chunked"])
async def test_a_body_is_not_read_as_frames(besiege: Besiege, path: str, line: str) -> None:
    async with besiege() as siege:
        assert status(await siege.exchange(siege.upgrade(line, SUBPROTOCOL, path=path))) == 400


async def test_a_head_that_is_too_large_is_refused(besiege: Besiege) -> None:
    async with besiege(headers=20) as siege:
        many = [f"X-{number}: y" for number in range(20)]
        assert status(await siege.exchange(knock(siege, *many))) == 431


async def test_what_comes_before_the_answer_is_not_listened_to(besiege: Besiege) -> None:
    async with besiege() as siege:
        early = knock(siege) + frame(b'{"jsonrpc": "2.0", "id": 1, "method": "bridge.hello"}')
        assert status(await siege.exchange(early)) == 400


async def test_who_does_not_say_who_he_is_makes_room_for_who_does(besiege: Besiege) -> None:
    async with besiege(strangers=3) as siege, AsyncExitStack() as silent:
        streams = []
        for _ in range(12):
            stream = await silent.enter_async_context(await siege.reach())
            await stream.send_all(knock(siege))
            assert status(await until_blank_line(stream)) == 101
            streams.append(stream)
        with trio.fail_after(PATIENCE_S):
            for stream in streams[:9]:
                assert await rest(stream) == b""
        async with websocket(siege.mc, "/bridge", subprotocols=("mission-bridge.v1",)) as plugin:
            hello = call("bridge.hello", token=siege.mc.token, protocol=1)
            assert "result" in await plugin.ask(hello)


async def test_who_was_let_in_is_no_stranger(besiege: Besiege) -> None:
    async with (
        besiege(strangers=1) as siege,
        AsyncExitStack() as silent,
        websocket(siege.mc, "/bridge", subprotocols=("mission-bridge.v1",)) as plugin,
    ):
        await plugin.ask(call("bridge.hello", token=siege.mc.token, protocol=1))
        for _ in range(3):
            stream = await silent.enter_async_context(await siege.reach())
            await stream.send_all(knock(siege))
            assert status(await until_blank_line(stream)) == 101
        long = call("bridge.ping", padding="x" * (STRANGERS_MESSAGE_BYTES + 1))
        assert (await plugin.ask(long))["result"] == {}


async def test_one_plugin_too_many_is_told_when_to_come_again(besiege: Besiege) -> None:
    async with besiege(connections_each=1) as siege, AsyncExitStack() as plugins:
        hello = call("bridge.hello", token=siege.mc.token, protocol=1)
        first, second = [
            await plugins.enter_async_context(
                websocket(siege.mc, "/bridge", subprotocols=("mission-bridge.v1",))
            )
            for _ in range(2)
        ]
        assert "result" in await first.ask(hello)
        data = (await second.ask(hello))["error"]["data"]
        assert data["kind"] == "limited"
        assert data["retry_after_ms"] > 0
        assert await second.closed() == 1013
        assert (await first.ask(call("bridge.ping")))["result"] == {}


async def test_who_takes_no_answer_is_cut_off(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mission_control.gateway_bridge._plugin_bridge.HELLO_WITHIN_S", math.inf)
    nobody = cast("Any", None)
    door = BridgeDoor(nobody, nobody, nobody, OriginRules(loopback_rule(1)))
    lines = [line.partition(": ") for line in (*UPGRADE, "Host: 127.0.0.1:1")]
    headers = [(name.lower().encode(), value.encode()) for name, _, value in lines]
    visit = Visit(LOOPBACK, trio.CancelScope(), Strangers(1), 1000)
    ours, theirs = trio.testing.lockstep_stream_pair()
    with trio.fail_after(10 * TAKE_WITHIN_S):
        async with trio.open_nursery() as nursery:
            upgrade = Upgrade(b"/bridge", headers, b"")
            nursery.start_soon(door.open, upgrade, visit, cast("Any", ours))
            assert status(bytes(await theirs.receive_some(4096))) == 101
            await theirs.send_all(frame(b"there?", PING))
            began = trio.current_time()
    assert trio.current_time() - began >= TAKE_WITHIN_S


async def test_garbage_after_the_handshake_disturbs_nobody(besiege: Besiege) -> None:
    async with besiege() as siege:
        for seed in range(8):
            noise = bytes((seed * 89 + n * n) % 256 for n in range(3_000))
            async with await siege.reach() as stream:
                await stream.send_all(knock(siege))
                assert status(await until_blank_line(stream)) == 101
                with trio.fail_after(PATIENCE_S):
                    try:
                        await stream.send_all(noise)
                        await stream.send_eof()
                    except trio.BrokenResourceError:
                        continue
                    await rest(stream)
        await siege.stands()
