"""The baseline: what one would write with trio alone, a task and a memory channel per actor."""

from __future__ import annotations

from time import process_time
from typing import TypeAlias

import trio
import trio.testing

from _workloads import ASKERS, CAPACITY, RING, Boom, Countdown

Request: TypeAlias = tuple[int, trio.MemorySendChannel[int]]


async def tell(count: int) -> float:
    """One producer, one consumer."""
    send, receive = trio.open_memory_channel[int](CAPACITY)
    async with trio.open_nursery() as nursery:
        done = trio.Event()
        nursery.start_soon(_count_down, receive, count, done)
        started = process_time()
        for number in range(count):
            await send.send(number)
        await done.wait()
        spent = process_time() - started
        nursery.cancel_scope.cancel()
    return spent / count


async def _count_down(receive: trio.MemoryReceiveChannel[int], left: int, done: trio.Event) -> None:
    async for _ in receive:
        left -= 1
        if not left:
            done.set()


async def ask(count: int) -> float:
    """A request channel, and a fresh channel for each reply."""
    return await _ask(count, askers=1)


async def asks_100(count: int) -> float:
    """As `ask`, by a hundred tasks at once."""
    return await _ask(count, askers=ASKERS)


async def _ask(count: int, askers: int) -> float:
    send, receive = trio.open_memory_channel[Request](CAPACITY)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_echo, receive)
        started = process_time()
        async with trio.open_nursery() as asking:
            for _ in range(askers):
                asking.start_soon(_ask_repeatedly, send, count // askers)
        spent = process_time() - started
        nursery.cancel_scope.cancel()
    return spent / count


async def _echo(receive: trio.MemoryReceiveChannel[Request]) -> None:
    async for number, reply in receive:
        await reply.send(number)


async def _ask_repeatedly(send: trio.MemorySendChannel[Request], count: int) -> None:
    for number in range(count):
        reply, answer = trio.open_memory_channel[int](1)
        await send.send((number, reply))
        await answer.receive()


async def fan_in(count: int) -> float:
    """A hundred producers, one consumer."""
    send, receive = trio.open_memory_channel[int](CAPACITY)
    async with trio.open_nursery() as nursery:
        done = trio.Event()
        nursery.start_soon(_count_down, receive, count // ASKERS * ASKERS, done)
        started = process_time()
        for _ in range(ASKERS):
            nursery.start_soon(_send_repeatedly, send, count // ASKERS)
        await done.wait()
        spent = process_time() - started
        nursery.cancel_scope.cancel()
    return spent / count


async def _send_repeatedly(send: trio.MemorySendChannel[int], count: int) -> None:
    for number in range(count):
        await send.send(number)


async def ring_1(count: int) -> float:
    """One token goes round a ring."""
    return await _ring(count, tokens=1)


async def ring_1000(count: int) -> float:
    """As many tokens as there are in the ring go round."""
    return await _ring(count, tokens=RING)


async def _ring(count: int, tokens: int) -> float:
    channels = [trio.open_memory_channel[int](CAPACITY) for _ in range(RING)]
    async with trio.open_nursery() as nursery:
        countdown = Countdown(tokens)
        for place, (_, receive) in enumerate(channels):
            following = channels[(place + 1) % RING][0]
            nursery.start_soon(_pass_on, receive, following, countdown)
        await trio.testing.wait_all_tasks_blocked()
        started = process_time()
        for place in range(tokens):
            await channels[place][0].send(count // tokens)
        await countdown.done.wait()
        spent = process_time() - started
        nursery.cancel_scope.cancel()
    return spent / count


async def _pass_on(
    receive: trio.MemoryReceiveChannel[int],
    following: trio.MemorySendChannel[int],
    countdown: Countdown,
) -> None:
    async for hops in receive:
        if hops:
            await following.send(hops - 1)
        else:
            countdown.one()


async def spawn(count: int) -> float:
    """Start consumers, and stop each with a message."""
    started = process_time()
    async with trio.open_nursery() as nursery:
        senders = []
        for _ in range(count):
            send, receive = trio.open_memory_channel[int | None](CAPACITY)
            nursery.start_soon(_consume, receive)
            senders.append(send)
        await trio.lowlevel.checkpoint()
        for send in senders:
            await send.send(None)
    return (process_time() - started) / count


async def _consume(receive: trio.MemoryReceiveChannel[int | None]) -> None:
    async for message in receive:
        if message is None:
            return


async def restart(count: int) -> float:
    """A nursery for each incarnation; every message crashes one."""
    send, receive = trio.open_memory_channel[int](count)
    for number in range(count):
        send.send_nowait(number)
    started = process_time()
    left = count
    while left:
        try:
            async with trio.open_nursery() as incarnation:
                left -= 1
                incarnation.start_soon(_crash, receive)
        except* Boom:
            pass
    return (process_time() - started) / count


async def _crash(receive: trio.MemoryReceiveChannel[int]) -> None:
    async for _ in receive:
        raise Boom
