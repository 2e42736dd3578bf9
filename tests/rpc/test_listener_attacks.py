"""Attacks on the listener: each is refused, and whoever talks with it meanwhile notices nothing."""

from __future__ import annotations

import json
import struct
import zlib

import pytest
import trio

from besieged import (
    COMPRESSED,
    CONTINUATION,
    FINAL,
    TEXT,
    Besiege,
    Besieged,
    flood,
    frame,
    rest,
    status,
    until_blank_line,
)
from rig import PATIENCE_S
from system_doors import call, http, post

MAX_CLOSING_BYTES = 127
"""A frame that says goodbye has no more; an answer to a call has."""

INIT = json.dumps(call("mission.project.init", project_name="smuggled")).encode()


def smuggled(siege: Besieged) -> bytes:
    """Return a whole request with the token in it, that must not be taken for one."""
    return siege.head("POST /rpc", f"Content-Length: {len(INIT)}") + INIT


def body_of(close_frame: bytes) -> int:
    """Return the code of a frame that closes a WebSocket."""
    assert close_frame[:1] == b"\x88", close_frame
    return int(struct.unpack("!H", close_frame[2:4])[0])


@pytest.mark.parametrize("door", ["tcp", "unix"])
@pytest.mark.parametrize("path", ["POST /rpc", "GET /rpc", "GET /bridge", "GET /healthz"])
async def test_a_page_of_another_origin_is_refused_before_its_token_is_looked_at(
    besiege: Besiege, door: str, path: str
) -> None:
    async with besiege(wrong_tokens_per_min=1) as siege:
        host = siege.host if door == "tcp" else "localhost"
        for line in (
            "Origin: null",
            "Origin: https://evil.example",
            f"Origin: https://{host}",
            f"Origin: http://{host}.evil.example",
            f"Origin: http://{host}\r\nOrigin: http://evil.example",
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Site: same-site",
        ):
            wrong = siege.head(path, line, "Connection: close", door=door, token="guess")
            answer = await siege.exchange(wrong, door)
            assert (line, status(answer)) == (line, 403)
            assert b"other" in answer
        assert (await post(siege.mc, call("mission.project.list"))).status == 200


@pytest.mark.parametrize("door", ["tcp", "unix"])
async def test_a_name_that_was_rebound_to_us_is_refused(besiege: Besiege, door: str) -> None:
    async with besiege() as siege:
        host = siege.host if door == "tcp" else "localhost"
        good = siege.head("GET /healthz", "Connection: close", door=door)
        assert status(await siege.exchange(good, door)) == 200
        for other in (
            "evil.example",
            f"evil.example:{siege.host.rpartition(':')[2]}",
            "127.0.0.1" if door == "tcp" else siege.host,
            f"{host}.",
            f"{host}@evil.example",
            "",
        ):
            evil = good.replace(f"Host: {host}\r\n".encode(), f"Host: {other}\r\n".encode())
            assert (other, status(await siege.exchange(evil, door))) == (other, 403)
        own = f"Host: {host}\r\n".encode()
        for none_or_two in (b"", own + own):
            assert status(await siege.exchange(good.replace(own, none_or_two), door)) == 400


async def test_a_socket_s_page_is_nobody_s_own(besiege: Besiege) -> None:
    async with besiege() as siege:
        for origin in ("http://localhost", siege.mc.url):
            sent = siege.head("GET /healthz", f"Origin: {origin}", "Connection: close", door="unix")
            assert status(await siege.exchange(sent, "unix")) == 403


@pytest.mark.parametrize("path", ["POST /rpc", "GET /rpc", "GET /bridge", "GET /readyz"])
async def test_a_token_in_a_url_is_refused_and_not_repeated(besiege: Besiege, path: str) -> None:
    async with besiege() as siege:
        answer = await siege.exchange(
            siege.head(f"{path}?token={siege.mc.token}", "Connection: close")
        )
        assert status(answer) == 400
        assert b"headers" in answer
        assert siege.mc.token.encode() not in answer


def ambiguous(siege: Besieged, length: str) -> dict[str, bytes]:
    """Return heads that another program might read otherwise than we do."""
    chunked = "Transfer-Encoding: chunked"
    usual = siege.head("POST /rpc", length)
    return {
        "both lengths": siege.head("POST /rpc", chunked, length),
        "both lengths, the other way round": siege.head("POST /rpc", length, chunked),
        "two lengths": siege.head("POST /rpc", length, "Content-Length: 5"),
        "two codings": siege.head("POST /rpc", chunked, "Transfer-Encoding: identity"),
        "a coding with a disguise": siege.head("POST /rpc", "Transfer-Encoding: xchunked"),
        "a folded header": siege.head("POST /rpc", f"X-A: b\r\n {length}"),
        "a folded header with a tab": siege.head("POST /rpc", f"X-A: b\r\n\t{chunked}"),
        "a folded request line": siege.head("POST\r\n /rpc", length),
        "bare line feeds": usual.replace(b"\r\n", b"\n"),
        "one bare line feed": siege.head("POST /rpc", f"X-A: b\n{length}"),
        "one bare carriage return": siege.head("POST /rpc", f"X-A: b\r{length}"),
        "a bare line feed at the end": usual[:-2] + b"\n",
        "a space before the colon": siege.head("POST /rpc", length.replace(":", " :")),
        "a negative length": siege.head("POST /rpc", "Content-Length: -1"),
        "a length in hex": siege.head("POST /rpc", "Content-Length: 0x5"),
        "an absolute target": siege.head("POST http://evil.example/rpc", length),
        "HTTP/2.0": usual.replace(b"HTTP/1.1", b"HTTP/2.0"),
        "HTTP/0.9": b"POST /rpc\r\n\r\n",
        "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    }


async def test_a_request_that_could_be_read_in_two_ways_is_refused(besiege: Besiege) -> None:
    async with besiege() as siege:
        inner = smuggled(siege)
        for how, head in ambiguous(siege, f"Content-Length: {len(inner) + 5}").items():
            answer = await siege.exchange(head + b"0\r\n\r\n" + inner)
            assert (how, status(answer) in (400, 501, 505)) == (how, True)
            assert answer.count(b"HTTP/1.1 ") == 1  # what came after it is not looked at
            await siege.stands()


async def test_a_wish_for_http_2_is_answered_in_http_1_1(besiege: Besiege) -> None:
    async with besiege() as siege:
        wish = siege.head(
            "GET /healthz", "Connection: close, Upgrade, HTTP2-Settings", "Upgrade: h2c",
            "HTTP2-Settings: AAMAAABkAAQAAP__",
        )  # fmt: skip
        answer = await siege.exchange(wish)
        assert answer.startswith(b"HTTP/1.1 200")


async def test_too_many_or_too_long_headers_are_refused(besiege: Besiege) -> None:
    async with besiege(headers=20, header_bytes=4096) as siege:
        many = siege.head("GET /healthz", *[f"X-{n}: y" for n in range(30)])
        long = siege.head("GET /healthz", f"X-A: {'y' * 5000}")
        endless = b"GET /" + b"x" * 100_000
        assert status(await siege.exchange(many)) == 431
        assert status(await siege.exchange(long)) == 431
        assert status(await siege.exchange(endless)) in (400, 431)
        few = siege.head("GET /healthz", "Connection: close", *[f"X-{n}: y" for n in range(10)])
        assert status(await siege.exchange(few)) == 200


async def test_a_head_that_does_not_come_to_its_end_is_not_waited_for(besiege: Besiege) -> None:
    async with besiege(head_within_s=0.5) as siege:
        head = siege.head("GET /healthz")
        for begun in (b"", head[:1], head[:40], head[:-2]):
            assert await siege.exchange(begun) == b""


async def test_a_head_that_trickles_is_not_waited_for_either(besiege: Besiege) -> None:
    async with (
        besiege(head_within_s=0.5, headers=10**6, header_bytes=10**8) as siege,
        await siege.reach() as stream,
    ):
        await stream.send_all(b"GET /healthz HTTP/1.1\r\n")
        cut = False
        with trio.fail_after(PATIENCE_S):
            while not cut:
                try:
                    await stream.send_all(b"X-A: y\r\n")
                except trio.BrokenResourceError:
                    cut = True
                await siege.stands()


async def test_a_body_that_does_not_come_to_its_end_is_not_waited_for(besiege: Besiege) -> None:
    async with besiege(body_within_s=0.3) as siege:
        answer = await siege.exchange(siege.head("POST /rpc", "Content-Length: 999") + b"{")
        assert status(answer) == 408
        assert b'"kind":"deadline"' in answer


@pytest.mark.parametrize("how", ["announced", "in chunks"])
async def test_a_body_that_is_too_long_is_refused_and_not_kept(besiege: Besiege, how: str) -> None:
    async with besiege(message_bytes=50_000) as siege, await siege.reach() as stream:
        if how == "announced":
            head = siege.head("POST /rpc", f"Content-Length: {2**40}")
        else:
            head = siege.head("POST /rpc", "Transfer-Encoding: chunked")
        piece = b"x" * 0x2000 if how == "announced" else b"2000\r\n%b\r\n" % (b"x" * 0x2000)
        with trio.fail_after(PATIENCE_S):
            await stream.send_all(head)
            for _ in range(7):
                await stream.send_all(piece)
            answer = await until_blank_line(stream)
        assert status(answer) == 413


async def test_fragments_without_end_are_cut_off(
    besiege: Besiege, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mission_control.gateway_bridge._http.IGNORED_BYTES", 200_000)
    async with besiege(message_bytes=50_000) as siege, await siege.handshake() as stream:
        await stream.send_all(frame(b"[", TEXT, flags=0))
        with trio.fail_after(PATIENCE_S):
            await flood(stream, frame(b" " * 1000, CONTINUATION, flags=0))


async def test_empty_fragments_without_end_are_cut_off_too(
    besiege: Besiege, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mission_control.gateway_bridge._http.IGNORED_BYTES", 2_000)
    async with besiege(message_bytes=500) as siege, await siege.handshake() as stream:
        await stream.send_all(frame(b" " * 501, TEXT, flags=0))
        with trio.fail_after(PATIENCE_S):
            await flood(stream, 100 * frame(b"", CONTINUATION, flags=0))


async def test_a_message_in_many_fragments_is_told_that_it_is_too_long(besiege: Besiege) -> None:
    async with besiege(message_bytes=50_000) as siege, await siege.handshake() as stream:
        await stream.send_all(frame(b"[", TEXT, flags=0))
        for _ in range(60):
            await stream.send_all(frame(b" " * 1000, CONTINUATION, flags=0))
        with trio.fail_after(PATIENCE_S):
            assert body_of(await stream.receive_some(100)) == 1009


@pytest.mark.parametrize("announced", [2**40, 2**62])
async def test_a_frame_that_announces_a_terabyte_is_refused_when_it_is_too_long(
    besiege: Besiege, announced: int
) -> None:
    async with besiege(message_bytes=50_000) as siege, await siege.handshake() as stream:
        await stream.send_all(frame(b" " * 60_000, announced=announced))
        with trio.fail_after(PATIENCE_S):
            assert body_of(await stream.receive_some(100)) == 1009


async def test_a_length_beyond_63_bits_ends_the_connection(besiege: Besiege) -> None:
    async with besiege() as siege, await siege.handshake() as stream:
        await stream.send_all(frame(b"", announced=2**64 - 1))
        with trio.fail_after(PATIENCE_S):
            assert len(await rest(stream)) <= MAX_CLOSING_BYTES


async def test_a_compressed_bomb_is_not_unpacked(besiege: Besiege) -> None:
    async with (
        besiege() as siege,
        await siege.handshake("Sec-WebSocket-Extensions: permessage-deflate") as stream,
    ):
        packer = zlib.compressobj(wbits=-15)
        bomb = packer.compress(bytes(50_000_000)) + packer.flush(zlib.Z_SYNC_FLUSH)
        await stream.send_all(frame(bomb[:-4], flags=FINAL | COMPRESSED))
        with trio.fail_after(PATIENCE_S):
            assert len(await rest(stream)) <= MAX_CLOSING_BYTES


async def test_who_was_not_let_in_may_not_say_much(besiege: Besiege) -> None:
    async with besiege() as siege:
        subprotocol = "Sec-WebSocket-Protocol: mission-bridge.v1"
        async with await siege.handshake(subprotocol, path="/bridge") as stream:
            await stream.send_all(frame(b" " * 20_000))
            with trio.fail_after(PATIENCE_S):
                assert body_of(await stream.receive_some(100)) == 1009


async def test_garbage_of_every_length_disturbs_nobody(besiege: Besiege) -> None:
    async with besiege() as siege:
        for size in (1, 7, 100, 5_000, 70_000):
            for seed in range(4):
                noise = bytes((seed * 89 + n * n) % 256 for n in range(size))
                async with await siege.reach() as stream:
                    with trio.fail_after(PATIENCE_S):
                        try:
                            await stream.send_all(noise)
                            await stream.send_eof()
                        except trio.BrokenResourceError:
                            continue
                        await rest(stream)
        assert (await http(siege.mc, "GET /healthz")).status == 200
