"""A sidecar under attack: bytes in, bytes out, and a witness who must notice nothing."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

import attrs
import trio

from mission_control import MissionControl
from mission_control.gateway_bridge import short_name
from rig import PATIENCE_S
from system_doors import Wire, tcp

TEXT, CONTINUATION, CLOSE = 0x1, 0x0, 0x8
FINAL, COMPRESSED = 0x80, 0x40


def frame(
    payload: bytes, opcode: int = TEXT, *, flags: int = FINAL, announced: int | None = None
) -> bytes:
    """Return a client's frame; it may announce another length than it has."""
    length = len(payload) if announced is None else announced
    if length < 126:
        head = struct.pack("!BB", flags | opcode, 0x80 | length)
    elif length < 2**16:
        head = struct.pack("!BBH", flags | opcode, 0x80 | 126, length)
    else:
        head = struct.pack("!BBQ", flags | opcode, 0x80 | 127, length)
    return head + bytes(4) + payload  # a mask of zeros changes nothing


@attrs.frozen
class Besieged:
    """A sidecar, and somebody who talks with it all the time."""

    mc: MissionControl
    witness: Wire

    @property
    def host(self) -> str:
        return urlsplit(self.mc.url).netloc

    async def stands(self) -> None:
        """Check that the witness is answered, and that nobody has made a project by a trick."""
        assert (await self.witness.result("mission.project.list"))["projects"] == []

    async def reach(self, door: str = "tcp") -> trio.SocketStream:
        if door == "tcp":
            return await tcp(self.mc)
        with short_name(self.mc.mission.home.socket) as name:
            return await trio.open_unix_socket(name)

    def head(self, first: str, *lines: str, door: str = "tcp", token: str | None = None) -> bytes:
        """Return a head with the right Host and token, and *lines* after these."""
        host = self.host if door == "tcp" else "localhost"
        bearer = f"Authorization: Bearer {self.mc.token if token is None else token}"
        text = "\r\n".join([f"{first} HTTP/1.1", f"Host: {host}", bearer, *lines, "", ""])
        return text.encode("latin-1")

    def upgrade(self, *lines: str, path: str = "/rpc", token: str | None = None) -> bytes:
        """Return the head of a WebSocket's handshake."""
        return self.head(
            f"GET {path}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            *lines,
            token=token,
        )

    async def exchange(self, sent: bytes, door: str = "tcp") -> bytes:
        """Send, and read until the sidecar ends the connection."""
        async with await self.reach(door) as stream:
            with trio.fail_after(PATIENCE_S):
                await stream.send_all(sent)
                return await rest(stream)

    async def handshake(self, *lines: str, path: str = "/rpc") -> trio.SocketStream:
        """Open a WebSocket by hand."""
        stream = await self.reach()
        await stream.send_all(self.upgrade(*lines, path=path))
        head = await until_blank_line(stream)
        assert status(head) == 101, head
        assert b"extensions" not in head.lower()
        return stream


Besiege = Callable[..., AbstractAsyncContextManager[Besieged]]
"""Runs a sidecar with the limits that it is given."""


def status(answer: bytes) -> int:
    """Return the HTTP status of an answer; 0 where there is none."""
    return int(answer.split()[1]) if answer else 0


async def until_blank_line(stream: trio.SocketStream) -> bytes:
    received = b""
    with trio.fail_after(PATIENCE_S):
        while b"\r\n\r\n" not in received:
            chunk = await stream.receive_some(1)
            if not chunk:
                break
            received += chunk
    return received


async def rest(stream: trio.SocketStream) -> bytes:
    """Read to the end; one that was cut with something unread ends with a reset."""
    received = b""
    try:
        async for chunk in stream:
            received += chunk
    except trio.BrokenResourceError:
        pass
    return received


async def flood(stream: trio.SocketStream, piece: bytes) -> None:
    """Send *piece* again and again, until the sidecar ends the connection."""
    try:
        while True:
            await stream.send_all(piece)
    except trio.BrokenResourceError:
        pass
