"""A Gateway for tests: the real frames over real WebSockets, and every fault on demand."""

from __future__ import annotations

import json
import random
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress

import attrs
import trio
from trio_websocket import ConnectionClosed, wrap_server_stream

from ._cable import Cable, Flow
from ._greeting import STARTING, Rejection, granted, misfit, stranger, unpaired
from ._life import Life
from ._methods import take
from ._peer import Frame, Handler, Peer, Refusal
from ._script import Script, Step, Turn, say_done
from ._sessions import Disk, new_id

HOST = "127.0.0.1"
TOKEN = "the right token"  # noqa: S105 - for tests only
MAX_MESSAGE_BYTES = 25 * 1024 * 1024
CUT_WITHIN_BYTES = 200
"""A random cut comes within so many bytes."""


@attrs.define(eq=False)
class FakeGateway:
    """An OpenClaw Gateway without OpenClaw: what a test says is what the model does.

    It answers what a sidecar asks of a Gateway as OpenClaw 2026.9.6 does; what else a Gateway can
    do, it does not know (`unknown method`).  Sessions and transcripts outlive :meth:`kill`, all
    else is lost with it.  The attributes may be changed while it serves.

    It waits by trio's clock.  Sockets do not: under a `trio.testing.MockClock` that jumps by
    itself, time passes while a frame is on its way, and deadlines of either side may come first.
    Give such a clock an `autojump_threshold` above zero, or leave the clock alone.

    Attributes:
        script: what the model does, by turn.
        agents: with which it is configured; the first is the default.
        souls: the SOUL.md of those that have one.
        channels: through which people can be reached.
        handle: takes all requests instead, for a test that wants to say each answer itself; then
            it sends nothing of itself, not even ticks.
        token: whom it lets in.
        protocol: which version it speaks.
        boot_id: of the present life; the next one has another.
        version: which OpenClaw it says that it is.
        pairing: a request id, where it first wants each device to be approved.
        withheld: scopes that it grants to nobody.
        starting: how many clients it tells that it is not ready yet.
        tick_ms: how often it says something at least.
        resume_after_s: how long after a start it resumes the turns that a crash interrupted.
        tls: to serve `wss://`.
        port: where it serves, and serves again; chosen by the system if 0.
        requests: all frames that it was sent, oldest first.
        turns: all that the model was asked, oldest first.
    """

    script: Script = say_done
    agents: tuple[str, ...] = ("main",)
    souls: Mapping[str, str] = attrs.field(factory=dict)
    channels: frozenset[str] = frozenset()
    handle: Handler | None = None
    token: str = TOKEN
    protocol: int = 4
    boot_id: str = "boot-1"
    version: str = "2026.9.6"
    pairing: str | None = None
    withheld: frozenset[str] = frozenset()
    starting: int = 0
    tick_ms: int = 30_000
    resume_after_s: float = 5.0
    tls: ssl.SSLContext | None = None
    port: int = 0
    requests: list[Frame] = attrs.field(factory=list)
    turns: list[Turn] = attrs.field(factory=list)
    _disk: Disk = attrs.field(init=False)
    _life: Life | None = attrs.field(default=None, init=False)
    _epoch_s: float = attrs.field(default=0.0, init=False)
    _cables: set[Cable] = attrs.field(factory=set, init=False)
    _flow: Flow = attrs.field(factory=Flow, init=False)
    _refusals: dict[str, list[Refusal]] = attrs.field(factory=dict, init=False)
    _change: trio.Event = attrs.field(factory=trio.Event, init=False)
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._disk = Disk(self.agents, self.souls, self.channels)

    @property
    def url(self) -> str:
        """Where it serves, while it does."""
        return f"{'wss' if self.tls else 'ws'}://{HOST}:{self.port}/"

    @property
    def letters(self) -> list[Frame]:
        """What people were sent, oldest first, as it was asked for."""
        return self._disk.letters

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FakeGateway]:
        """Serve on loopback while the block runs, at the same port each time."""
        failure: Exception | None = None
        self._epoch_s = time.time() - trio.current_time()
        with self._port_held():
            async with trio.open_nursery() as self._nursery:
                try:
                    await self.start()
                    yield self
                except Exception as error:  # noqa: BLE001 - raised below, where no nursery wraps it
                    failure = error
                self._nursery.cancel_scope.cancel()
        self._nursery = self._life = None
        self.boot_id = new_id()
        if failure is not None:
            raise failure

    async def start(self) -> None:
        """Begin to live, after :meth:`kill` or :meth:`stop`; return when clients are let in."""
        if self._life is None and self._nursery is not None:
            life = Life(self._disk, self._play, self._now_ms)
            door = trio.socket.from_stdlib_socket(_bound(self.port))
            door.listen()
            self._life = life
            self._nursery.start_soon(self._live, life, trio.SocketListener(door))
            await life.begun.wait()

    async def kill(self) -> None:
        """Die at once, as by `kill -9`: no goodbye, and all that was in memory is lost.

        The turn that ran in a session is resumed by the next life, under another run id; turns
        that were queued are forgotten.
        """
        await self._end(self._life)

    async def restart(self) -> None:
        """Restart within the process: let running turns end, say goodbye, and live again."""
        await self._leave("restarting", reason="gateway restarting", restartExpectedMs=1500)
        await self.start()

    async def stop(self) -> None:
        """End as by SIGTERM: refuse everything, let running turns end, and say goodbye."""
        await self._leave("stopping", reason="gateway stopping")

    def hang(self) -> None:
        """Let no byte pass from now on, though all connections stay open."""
        self._flow.stop()

    def wake(self) -> None:
        """End what :meth:`hang` began; what waited passes now."""
        self._flow.go_on()

    def cut(self, after: int | None = None) -> None:
        """Cut each connection when *after* more bytes were sent; by default at a random one.

        Turns go on.
        """
        for cable in self._cables:
            count = random.randrange(CUT_WITHIN_BYTES) if after is None else after  # noqa: S311
            cable.cut_after(count)

    def lose_events(self, count: int) -> None:
        """Do not send the next *count* events to the clients that are connected; number them."""
        for peer in self._peers():
            peer.losing += count

    async def drop_slow_consumers(self) -> None:
        """Close all connections as those of clients that do not read what they are sent."""
        for peer in self._peers():
            with suppress(ConnectionClosed):
                await peer.hang_up(1008, "slow consumer")

    def refuse(self, method: str, *refusals: Refusal) -> None:
        """Answer the next requests for *method* so, one by one."""
        self._refusals.setdefault(method, []).extend(refusals)

    async def asked(self, count: int, method: str | None = None) -> None:
        """Wait until it has been sent *count* requests, of *method* or of any.

        Each connection begins with one that is called `connect`.
        """
        while sum(method in (None, each.get("method")) for each in self.requests) < count:
            await self._change.wait()

    async def played(self, count: int) -> None:
        """Wait until the model has been asked for *count* turns."""
        while len(self.turns) < count:
            await self._change.wait()

    def transcript(self, session_key: str) -> list[Frame]:
        """Return the rows of a session; none where there is no such session."""
        session = self._disk.sessions.get(self._disk.key_of(session_key))
        return [] if session is None else list(session.rows)

    def _peers(self) -> Iterable[Peer]:
        return () if self._life is None else tuple(self._life.peers)

    @contextmanager
    def _port_held(self) -> Iterator[None]:
        """Let nobody else have the port between two lives."""
        with _bound(self.port) as holder:
            self.port = holder.getsockname()[1]
            yield

    async def _live(self, life: Life, listener: trio.SocketListener) -> None:
        """Live once, until killed."""
        async with trio.open_nursery() as life.nursery:
            if self.handle is None:
                life.nursery.start_soon(self._tick, life)
                life.nursery.start_soon(life.resume, self.resume_after_s)
            life.nursery.start_soon(self._take_connections, life, listener)
            life.begun.set()
        life.over.set()

    async def _end(self, life: Life | None) -> None:
        if life is not None and life is self._life:
            self._life = None
            life.nursery.cancel_scope.cancel()
            await life.over.wait()
            self.boot_id = new_id()

    async def _leave(self, why: str, **goodbye: object) -> None:
        life = self._life
        if life is None:
            return
        await life.drain(why)
        life.door.cancel()
        await life.tell("shutdown", **goodbye)
        for peer in tuple(life.peers):
            with suppress(ConnectionClosed):
                await peer.hang_up()
        await self._end(life)

    async def _tick(self, life: Life) -> None:
        while True:
            await trio.sleep(self.tick_ms / 1000)
            await life.tell("tick", ts=self._now_ms())

    async def _take_connections(self, life: Life, listener: trio.SocketListener) -> None:
        with life.door:
            async with listener:
                while True:
                    stream = await listener.accept()
                    life.nursery.start_soon(self._converse, life, Cable(stream, self._flow))

    async def _converse(self, life: Life, cable: Cable) -> None:
        self._cables.add(cable)
        try:
            async with trio.open_nursery() as nursery:
                stream = cable if self.tls is None else _secured(cable, self.tls)
                with suppress(ConnectionClosed):
                    request = await wrap_server_stream(
                        nursery, stream, max_message_size=MAX_MESSAGE_BYTES
                    )
                    await self._serve(life, nursery, Peer(await request.accept()))
                nursery.cancel_scope.cancel()
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # no handshake: TLS that the client did not like, or no WebSocket at all
        finally:
            self._cables.discard(cable)
            await trio.aclose_forcefully(cable)

    async def _serve(self, life: Life, nursery: trio.Nursery, peer: Peer) -> None:
        challenge = {"nonce": new_id(), "ts": self._now_ms()}
        await peer.say({"type": "event", "event": "connect.challenge", "payload": challenge})
        if not await self._greet(peer, await self._listen(peer)):
            return
        life.peers.add(peer)
        try:
            while True:
                request = await self._listen(peer)
                if refusals := self._refusals.get(request["method"]):
                    await peer.reject(request, refusals.pop(0))
                elif self.handle is not None:
                    await self.handle(peer, request)
                elif request["method"] == "agent.wait":
                    nursery.start_soon(_take, life, peer, request)  # it takes long
                else:
                    await take(life, peer, request)
        except ConnectionClosed:
            if peer.leaving is not None:  # who closes it needs the task that reads
                await peer.leaving.wait()
        finally:
            life.peers.discard(peer)

    async def _greet(self, peer: Peer, connect: Frame) -> bool:
        """Let the client in, or say why not."""
        params = connect["params"]
        rejection = self._judged(params)
        if rejection is not None:
            await peer.reject(connect, rejection.refusal)
            await peer.hang_up(rejection.code, rejection.reason)
            return False
        peer.tool_events = "tool-events" in params.get("caps", ())
        scopes = [scope for scope in granted(params) if scope not in self.withheld]
        await peer.answer(
            connect,
            type="hello-ok",
            protocol=self.protocol,
            server={"version": self.version, "bootId": self.boot_id, "connId": new_id()},
            auth={"method": "token", "role": "operator", "scopes": scopes},
            policy={"tickIntervalMs": self.tick_ms, "maxPayload": MAX_MESSAGE_BYTES},
        )
        return True

    def _judged(self, params: Frame) -> Rejection | None:
        if self.starting:
            self.starting -= 1
            return STARTING
        if self.pairing is not None:
            return unpaired(self.pairing)
        return misfit(params, self.protocol) or stranger(params, self.token)

    async def _listen(self, peer: Peer) -> Frame:
        """Return the next request; what is none is ignored."""
        frame: object = None
        while not isinstance(frame, dict) or "method" not in frame:
            with suppress(ValueError):
                frame = json.loads(await peer.websocket.get_message())
        self.requests.append(frame)
        self._tell_change()
        return frame

    def _play(self, turn: Turn) -> Iterable[Step]:
        self.turns.append(turn)
        self._tell_change()
        return self.script(turn)

    def _now_ms(self) -> int:
        return int((self._epoch_s + trio.current_time()) * 1000)

    def _tell_change(self) -> None:
        self._change.set()
        self._change = trio.Event()


async def _take(life: Life, peer: Peer, request: Frame) -> None:
    with suppress(ConnectionClosed):
        await take(life, peer, request)


def _bound(port: int) -> socket.socket:
    """Return a socket at *port*, where others of ours may be bound too."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((HOST, port))
    return bound


def _secured(cable: Cable, context: ssl.SSLContext) -> trio.SSLStream[Cable]:
    return trio.SSLStream(cable, context, server_side=True)
