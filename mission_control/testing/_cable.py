"""What carries the bytes of one connection, and can be cut or held up."""

from __future__ import annotations

import attrs
import trio


@attrs.define
class Flow:
    """Whether bytes pass; one for all cables of a Gateway."""

    _open: trio.Event = attrs.field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        self._open.set()

    def stop(self) -> None:
        """Let nothing pass."""
        if self._open.is_set():
            self._open = trio.Event()

    def go_on(self) -> None:
        """Let pass what waits, and what follows."""
        self._open.set()

    async def passes(self) -> None:
        """Wait until bytes pass."""
        while not self._open.is_set():
            await self._open.wait()
        await trio.lowlevel.checkpoint()


class Cable(trio.abc.Stream):
    """A stream between the Gateway and one client."""

    def __init__(self, stream: trio.SocketStream, flow: Flow) -> None:
        self._stream = stream
        self._flow = flow
        self._left: int | None = None

    def cut_after(self, count: int) -> None:
        """Carry *count* more bytes to the client, and then none, wherever that is in a frame."""
        self._left = count

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*, or what may pass of it.

        Raises:
            trio.BrokenResourceError: the cable is cut.
        """
        await self._flow.passes()
        if self._left is None or len(data) < self._left:
            self._left = None if self._left is None else self._left - len(data)
            await self._stream.send_all(data)
            return
        with memoryview(data) as whole:
            await self._stream.send_all(whole[: self._left])
        await trio.aclose_forcefully(self._stream)
        raise trio.BrokenResourceError("the cable is cut")

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until more may be sent."""
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive what the client sent."""
        data = await self._stream.receive_some(max_bytes)
        await self._flow.passes()
        return data

    async def aclose(self) -> None:
        """Close the connection without a word."""
        await self._stream.aclose()
