"""A cable between a sidecar and its Gateway that is as bad as a test wants it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import trio

ESTABLISHED = "01"
"""In the kernel's table of TCP connections."""


def _endless() -> None:
    return None


@attrs.define(eq=False)
class Cable:
    """Carries TCP connections to a port of this host, each way as it is told.

    Attributes:
        target: the Gateway's port.
        unplugged: while it is, whoever connects is hung up on.
        length: says, for each connection that begins, after how many bytes (of both directions
            together) it is cut; None for never.
        begun: how many connections there were, carried or not.
        cuts: how many of them were cut for their length.
    """

    target: int
    unplugged: bool = False
    length: Callable[[], int | None] = _endless
    begun: int = 0
    cuts: int = 0
    _held: set[_Way] = attrs.field(factory=set)
    _news: trio.Event = attrs.field(factory=trio.Event)

    @asynccontextmanager
    async def plugged_in(self) -> AsyncIterator[str]:
        """Carry what comes while the block runs; its value is the url to connect to."""
        async with trio.open_nursery() as nursery:
            serve = partial(trio.serve_tcp, self._carry, 0, host="127.0.0.1")
            (listener,) = await nursery.start(serve)
            yield f"ws://127.0.0.1:{listener.socket.getsockname()[1]}/"
            nursery.cancel_scope.cancel()

    def cut(self) -> None:
        """End every connection, wherever it is in a frame."""
        for way in self._held:
            way.scope.cancel()

    def unplug(self) -> None:
        """Cut it, and carry nothing any more."""
        self.unplugged = True
        self.cut()

    def clog(self) -> None:
        """Read no more from the Gateway, in present connections: what it sends piles up there."""
        for way in self._held:
            way.clear = trio.Event()

    def unclog(self) -> None:
        """End what `clog` began."""
        for way in self._held:
            way.clear.set()

    def is_hung_up_on(self) -> bool:
        """Whether the Gateway has closed a connection whose end the cable has not read yet."""
        return any(_state(self.target, way.port) != ESTABLISHED for way in self._held)

    async def has_begun(self, count: int) -> None:
        """Wait until *count* connections have begun."""
        while self.begun < count:
            await self._news.wait()

    async def _carry(self, near: trio.SocketStream) -> None:
        self.begun += 1
        self._news.set()
        self._news = trio.Event()
        if not self.unplugged:
            await self._connect(near)

    async def _connect(self, near: trio.SocketStream) -> None:
        try:
            far = await trio.open_tcp_stream("127.0.0.1", self.target)
        except OSError:
            return  # there is no Gateway now, so there is none at this end either
        async with far, trio.open_nursery() as nursery:
            way = _Way(nursery.cancel_scope, far.socket.getsockname()[1], self.length())
            self._held.add(way)
            try:
                nursery.start_soon(_pump, near, far, way)
                nursery.start_soon(_pump, far, near, way, True)
                await trio.sleep_forever()
            finally:
                self._held.discard(way)
                self.cuts += way.is_over
                await trio.aclose_forcefully(far)
                await trio.aclose_forcefully(near)


@attrs.define(eq=False)
class _Way:
    """One connection: how far its bytes come."""

    scope: trio.CancelScope
    port: int
    """Of our end towards the Gateway."""
    left: int | None
    clear: trio.Event = attrs.field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        self.clear.set()

    @property
    def is_over(self) -> bool:
        return self.left == 0

    def lets_through(self, data: bytes | bytearray) -> bytes | bytearray:
        if self.left is None:
            return data
        through = data[: self.left]
        self.left -= len(through)
        return through


def _state(local: int, remote: int) -> str:
    """Return what the kernel says of a connection between two ports of this host."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        near, far, state = (field.rpartition(":")[2] for field in line.split()[1:4])
        if (int(near, 16), int(far, 16)) == (local, remote):
            return state
    return "gone"


async def _pump(
    source: trio.SocketStream, sink: trio.SocketStream, way: _Way, clogs: bool = False
) -> None:
    """Carry from *source* to *sink* until either ends, and with it the connection."""
    try:
        while not way.is_over:
            if clogs:
                await way.clear.wait()
            data = way.lets_through(await source.receive_some(65_536))
            if not data:
                break
            await sink.send_all(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # one side has gone
    way.scope.cancel()
