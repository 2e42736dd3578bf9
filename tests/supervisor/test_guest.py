"""A system in the thread and the loop of an asyncio program.  In real time."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from mission_control.supervisor import (
    Actor,
    ActorDead,
    ChildSpec,
    Context,
    Exit,
    Intensity,
    SupervisorGaveUp,
    System,
    open_system,
)
from mission_control.supervisor._guest import run_guest
from mission_control.supervisor._portal import Portal, open_portal


class Echo(Actor[Any]):
    ctx: Context[Any]

    def __init__(self, journal: list[str]) -> None:
        self._journal = journal

    def receive(self, message: Any) -> Any:
        if message == "crash":
            raise RuntimeError(message)
        return message, threading.get_ident()

    async def stopped(self, reason: Exit) -> None:
        await trio.lowlevel.checkpoint()
        self._journal.append("stopped")


def test_the_guests_actors_live_in_the_thread_of_the_hosts_loop() -> None:
    async def main(system: System) -> Any:
        echo = await system.root.start_child(ChildSpec("echo", Echo, args=([],)))
        assert echo is not None
        return await echo.ask(1)

    async def host() -> Any:
        return await run_guest(open_system("guest"), main)

    assert asyncio.run(host()) == (1, threading.get_ident())


def _serve(
    opened: asyncio.Future[Portal], journal: list[str]
) -> Callable[[System], Awaitable[None]]:
    async def main(system: System) -> None:
        await system.root.start_child(ChildSpec("echo", Echo, args=(journal,), register="echo"))
        with open_portal(system) as portal:
            opened.set_result(portal)
            await trio.sleep_forever()

    return main


def test_x34_the_host_asks_and_tells_the_guest_through_a_portal() -> None:
    journal: list[str] = []

    async def host() -> None:
        opened: asyncio.Future[Portal] = asyncio.Future()
        guest = asyncio.create_task(run_guest(open_system("guest"), _serve(opened, journal)))
        portal = await opened
        portal.tell("echo", 0)
        answers = await asyncio.gather(*(portal.aask("echo", n) for n in range(100)))
        assert [answer for answer, _ in answers] == list(range(100))
        with pytest.raises(RuntimeError, match="block the loop"):
            portal.ask("echo", 1)
        guest.cancel()
        with pytest.raises(asyncio.CancelledError):
            await guest
        with pytest.raises(ActorDead):
            await portal.aask("echo", 1)

    asyncio.run(host())
    assert journal == ["stopped"]


def test_x34_a_host_that_is_cancelled_again_and_again_outlives_its_guest() -> None:
    journal: list[str] = []

    async def host() -> None:
        opened: asyncio.Future[Portal] = asyncio.Future()
        guest = asyncio.create_task(run_guest(open_system("guest"), _serve(opened, journal)))
        await opened
        while not guest.done():
            guest.cancel()
            await asyncio.sleep(0)
        assert journal == ["stopped"]
        assert guest.cancelled()

    asyncio.run(host())


def test_a_cancelled_guest_that_fails_while_it_stops_raises_its_error() -> None:
    async def main(system: System) -> None:
        started.set()
        try:
            await trio.sleep_forever()
        finally:
            raise LookupError("while stopping")

    started = asyncio.Event()

    async def host() -> None:
        guest = asyncio.create_task(run_guest(open_system("guest"), main))
        await started.wait()
        guest.cancel()
        with pytest.RaisesGroup(LookupError, allow_unwrapped=True, flatten_subgroups=True):
            await guest

    asyncio.run(host())


def test_what_the_guest_raises_its_host_gets() -> None:
    async def fail(system: System) -> None:
        await trio.lowlevel.checkpoint()
        raise LookupError("mine")

    async def crash(system: System) -> None:
        echo = await system.root.start_child(ChildSpec("echo", Echo, args=([],)))
        assert echo is not None
        echo.tell("crash")
        await trio.sleep_forever()

    async def host() -> None:
        with pytest.raises(LookupError, match="mine"):
            await run_guest(open_system("guest"), fail)
        with pytest.raises(SupervisorGaveUp):
            await run_guest(open_system("guest", intensity=Intensity(0, period=1.0)), crash)

    asyncio.run(host())


def test_a_second_guest_in_one_thread_is_refused_and_the_first_goes_on() -> None:
    async def nothing(system: System) -> None:
        await trio.lowlevel.checkpoint()

    async def host() -> None:
        opened: asyncio.Future[Portal] = asyncio.Future()
        guest = asyncio.create_task(run_guest(open_system("guest"), _serve(opened, [])))
        portal = await opened
        with pytest.raises(RuntimeError):
            await run_guest(open_system("second"), nothing)
        assert (await portal.aask("echo", 1))[0] == 1
        guest.cancel()
        await asyncio.wait([guest])

    asyncio.run(host())


def test_ctrl_c_stops_the_guest_in_its_order() -> None:
    journal: list[str] = []

    async def host() -> None:
        opened: asyncio.Future[Portal] = asyncio.Future()
        guest = asyncio.create_task(run_guest(open_system("guest"), _serve(opened, journal)))
        await opened
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        await guest

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(host())
    assert journal == ["stopped"]
