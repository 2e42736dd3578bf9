"""The same work done by actors of `mission_control.supervisor`, each under a supervisor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import process_time
from typing import Any, Final

import attrs
import trio

from _workloads import ASKERS, BURST, RING, Boom, Countdown
from mission_control.supervisor import (
    Actor,
    ChildSpec,
    DynamicSupervisor,
    Intensity,
    Ref,
    SupervisorRef,
    System,
    open_system,
)

SHARED: Final[dict[str, Any]] = {"lane": "shared"} if "lane" in attrs.fields_dict(ChildSpec) else {}
"""What puts an actor on the lane for synchronous ones, where there is such a lane."""


def quiet_system() -> Any:
    """Open a system that does not spend the benchmark's time on writing a log."""
    return open_system("bench", on_event=lambda _: None)


class Sink(Actor[int]):
    """Counts messages."""

    def __init__(self, left: int, done: trio.Event) -> None:
        self._left = left
        self._done = done

    def receive(self, msg: int) -> None:  # noqa: ARG002 - only counted
        self._left -= 1
        if not self._left:
            self._done.set()


class Echo(Actor[int]):
    """Answers with the question."""

    def receive(self, msg: int) -> int:
        return msg


class Node(Actor[int]):
    """Passes a token on to the next in a ring, unless it has no hops left."""

    def __init__(self, ring: list[Ref[int]], following: int, countdown: Countdown) -> None:
        self._ring = ring
        self._following = following
        self._countdown = countdown

    def receive(self, msg: int) -> None:
        if msg:
            self._ring[self._following].tell(msg - 1)
        else:
            self._countdown.one()


class Faulty(Actor[int]):
    """Crashes on every message."""

    def __init__(self, countdown: Countdown) -> None:
        self._countdown = countdown

    def receive(self, msg: int) -> None:  # noqa: ARG002 - any will do
        self._countdown.one()
        raise Boom


@asynccontextmanager
async def _sink(count: int) -> AsyncIterator[tuple[Ref[int], trio.Event]]:
    async with quiet_system() as system:
        done = trio.Event()
        yield await system.root.start_child(ChildSpec("sink", Sink, (count, done))), done


async def tell(count: int) -> float:
    """Bursts of `tell`."""
    async with _sink(count) as (sink, done):
        started = process_time()
        for start in range(0, count, BURST):
            for number in range(start, min(start + BURST, count)):
                sink.tell(number)
            await trio.lowlevel.checkpoint()
        await done.wait()
        return (process_time() - started) / count


async def send(count: int) -> float:
    """Back-pressure: `send` waits while the mailbox is full."""
    async with _sink(count) as (sink, done):
        started = process_time()
        await _send_repeatedly(sink, count)
        await done.wait()
        return (process_time() - started) / count


async def _send_repeatedly(sink: Ref[int], count: int) -> None:
    for number in range(count):
        await sink.send(number)


async def fan_in(count: int) -> float:
    """A hundred tasks that `send` to one actor."""
    async with _sink(count // ASKERS * ASKERS) as (sink, done):
        started = process_time()
        async with trio.open_nursery() as nursery:
            for _ in range(ASKERS):
                nursery.start_soon(_send_repeatedly, sink, count // ASKERS)
        await done.wait()
        return (process_time() - started) / count


async def ask(count: int) -> float:
    """One asker, no timeout."""
    return await _ask(count, timeout=None)


async def ask_timeout(count: int) -> float:
    """One asker, five seconds of time for each answer."""
    return await _ask(count, timeout=5.0)


async def asks_100(count: int) -> float:
    """A hundred askers at once."""
    return await _ask(count, timeout=None, askers=ASKERS)


async def sync_ask(count: int) -> float:
    """One asker of an idle actor on the lane for synchronous ones."""
    return await _ask(count, timeout=None, **SHARED)


async def _ask(
    count: int,
    timeout: float | None,  # noqa: ASYNC109 - of each ask
    askers: int = 1,
    **options: Any,
) -> float:
    async with quiet_system() as system:
        echo = await system.root.start_child(ChildSpec("echo", Echo, **options))
        started = process_time()
        async with trio.open_nursery() as asking:
            for _ in range(askers):
                asking.start_soon(_ask_repeatedly, echo, count // askers, timeout)
        return (process_time() - started) / count


async def _ask_repeatedly(
    echo: Ref[int],
    count: int,
    timeout: float | None,  # noqa: ASYNC109 - of each ask
) -> None:
    for number in range(count):
        await echo.ask(number, timeout)


async def ring_1(count: int) -> float:
    """One token goes round a ring."""
    return await _ring(count, tokens=1)


async def ring_1000(count: int) -> float:
    """As many tokens as there are in the ring go round."""
    return await _ring(count, tokens=RING)


async def sync_ring(count: int) -> float:
    """One token, on the lane for synchronous actors."""
    return await _ring(count, tokens=1, **SHARED)


async def _ring(count: int, tokens: int, **options: Any) -> float:
    async with quiet_system() as system:
        countdown = Countdown(tokens)
        ring = await _start_ring(system, countdown, options)
        started = process_time()
        for node in ring[:tokens]:
            node.tell(count // tokens)
        await countdown.done.wait()
        return (process_time() - started) / count


async def _start_ring(
    system: System, countdown: Countdown, options: dict[str, Any]
) -> list[Ref[int]]:
    nodes = await system.root.start_child(DynamicSupervisor.spec("nodes"))
    ring: list[Ref[int]] = []
    for place in range(RING):
        args = (ring, (place + 1) % RING, countdown)
        ring.append(await nodes.start_child(ChildSpec(f"node-{place}", Node, args, **options)))
    return ring


async def spawn(count: int) -> float:
    """A hundred tasks start children, each up before the next; they stop with their supervisor."""
    async with quiet_system() as system:
        started = process_time()
        echoes = await system.root.start_child(
            DynamicSupervisor.spec("echoes", template=ChildSpec("echo", Echo))
        )
        async with trio.open_nursery() as starting:
            for _ in range(ASKERS):
                starting.start_soon(_start_repeatedly, echoes, count // ASKERS)
        await system.root.terminate_child(echoes)
        return (process_time() - started) / count


async def _start_repeatedly(echoes: SupervisorRef, count: int) -> None:
    for _ in range(count):
        await echoes.start_child()


async def restart(count: int) -> float:
    """Every message crashes an incarnation; the supervisor starts the next one."""
    often = Intensity(restarts=count, period=3600.0)
    async with open_system("bench", intensity=often, on_event=lambda _: None) as system:
        countdown = Countdown(count)
        spec = ChildSpec("faulty", Faulty, (countdown,), capacity=count)
        faulty = await system.root.start_child(spec)
        for number in range(count):
            faulty.tell(number)
        started = process_time()
        await countdown.done.wait()
        return (process_time() - started) / count
