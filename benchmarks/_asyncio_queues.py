"""For the record: the same work with a task and an `asyncio.Queue` per actor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from time import process_time
from typing import Any, Final, TypeAlias

from _workloads import ASKERS, CAPACITY, RING

Request: TypeAlias = "tuple[int, asyncio.Future[int]]"


async def tell(count: int) -> float:
    queue: asyncio.Queue[int] = asyncio.Queue(CAPACITY)
    done = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        consumer = tasks.create_task(_count_down(queue, count, done))
        started = process_time()
        await _put_repeatedly(queue, count)
        await done.wait()
        spent = process_time() - started
        consumer.cancel()
    return spent / count


async def fan_in(count: int) -> float:
    queue: asyncio.Queue[int] = asyncio.Queue(CAPACITY)
    done = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        consumer = tasks.create_task(_count_down(queue, count // ASKERS * ASKERS, done))
        started = process_time()
        for _ in range(ASKERS):
            tasks.create_task(_put_repeatedly(queue, count // ASKERS))
        await done.wait()
        spent = process_time() - started
        consumer.cancel()
    return spent / count


async def _count_down(queue: asyncio.Queue[int], left: int, done: asyncio.Event) -> None:
    while True:
        await queue.get()
        left -= 1
        if not left:
            done.set()


async def _put_repeatedly(queue: asyncio.Queue[int], count: int) -> None:
    for number in range(count):
        await queue.put(number)


async def ask(count: int) -> float:
    return await _ask(count, askers=1)


async def asks_100(count: int) -> float:
    return await _ask(count, askers=ASKERS)


async def _ask(count: int, askers: int) -> float:
    queue: asyncio.Queue[Request] = asyncio.Queue(CAPACITY)
    async with asyncio.TaskGroup() as tasks:
        echo = tasks.create_task(_echo(queue))
        started = process_time()
        async with asyncio.TaskGroup() as asking:
            for _ in range(askers):
                asking.create_task(_ask_repeatedly(queue, count // askers))
        spent = process_time() - started
        echo.cancel()
    return spent / count


async def _echo(queue: asyncio.Queue[Request]) -> None:
    while True:
        number, reply = await queue.get()
        reply.set_result(number)


async def _ask_repeatedly(queue: asyncio.Queue[Request], count: int) -> None:
    loop = asyncio.get_running_loop()
    for number in range(count):
        reply: asyncio.Future[int] = loop.create_future()
        await queue.put((number, reply))
        await reply


async def ring_1(count: int) -> float:
    return await _ring(count, tokens=1)


async def ring_1000(count: int) -> float:
    return await _ring(count, tokens=RING)


async def _ring(count: int, tokens: int) -> float:
    queues: list[asyncio.Queue[int]] = [asyncio.Queue(CAPACITY) for _ in range(RING)]
    finished: asyncio.Queue[int] = asyncio.Queue()
    async with asyncio.TaskGroup() as tasks:
        nodes = [
            tasks.create_task(_pass_on(queue, queues[(place + 1) % RING], finished))
            for place, queue in enumerate(queues)
        ]
        await asyncio.sleep(0)
        started = process_time()
        for queue in queues[:tokens]:
            await queue.put(count // tokens)
        for _ in range(tokens):
            await finished.get()
        spent = process_time() - started
        for node in nodes:
            node.cancel()
    return spent / count


async def _pass_on(
    queue: asyncio.Queue[int], following: asyncio.Queue[int], finished: asyncio.Queue[int]
) -> None:
    while True:
        hops = await queue.get()
        if hops:
            await following.put(hops - 1)
        else:
            finished.put_nowait(hops)


async def spawn(count: int) -> float:
    started = process_time()
    async with asyncio.TaskGroup() as tasks:
        queues: list[asyncio.Queue[int | None]] = [asyncio.Queue(CAPACITY) for _ in range(count)]
        for queue in queues:
            tasks.create_task(_consume(queue))
        await asyncio.sleep(0)
        for queue in queues:
            queue.put_nowait(None)
    return (process_time() - started) / count


async def _consume(queue: asyncio.Queue[int | None]) -> None:
    while await queue.get() is not None:
        pass


WORKLOADS: Final[Mapping[str, Callable[[int], Coroutine[Any, Any, float]]]] = {
    "tell": tell,
    "ask": ask,
    "asks_100": asks_100,
    "fan_in": fan_in,
    "ring_1": ring_1,
    "ring_1000": ring_1000,
    "spawn": spawn,
}
