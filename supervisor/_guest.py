"""Trio as a guest in the thread and the loop of an asyncio program."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, TypeVar, cast

import trio
from outcome import Outcome

H = TypeVar("H")
T = TypeVar("T")


async def run_guest(system: AbstractAsyncContextManager[H], main: Callable[[H], Awaitable[T]]) -> T:
    """Run *main* with *system* in guest mode, and return what it returns: a coroutine of asyncio.

    For hosts whose actors must live in the thread of their loop; an ask costs twice as much as
    in a run of trio's own, and about as much again from the host through a
    :class:`Portal` (`aask` and `tell`).  Whoever can, gives trio a thread of its own.

    When its task is cancelled, *main* is, and the system is stopped as by any cancellation from
    outside; only then this ends, however often it is cancelled, as a host must outlive its guest.

    Limits: one guest for each thread; an autojump clock would see trio's tasks only, and jump
    while the host is busy; the host's loop must run until this has returned.

    Args:
        system: what `open_system(...)` returns.
        main: gets the running system, in trio.

    Raises:
        RuntimeError: trio runs in this thread already.
        BaseException: what *main* or the system raised.
    """
    loop = asyncio.get_running_loop()
    scope = trio.CancelScope()
    done: asyncio.Future[Outcome[T | None]] = loop.create_future()

    async def guest() -> T | None:
        with scope:
            async with system as running:
                return await main(running)
        return None  # cancelled, as the host's task is

    trio.lowlevel.start_guest_run(
        guest,
        run_sync_soon_threadsafe=loop.call_soon_threadsafe,
        run_sync_soon_not_threadsafe=loop.call_soon,
        done_callback=done.set_result,
        host_uses_signal_set_wakeup_fd=True,
    )
    token = trio.lowlevel.current_trio_token()
    cancelled = False
    while not done.done():
        if not await _came(done):
            cancelled = True
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(scope.cancel)
    result = done.result().unwrap()  # what the guest raises counts for more
    if cancelled:
        raise asyncio.CancelledError
    return cast("T", result)


async def _came(outcome: asyncio.Future[Any]) -> bool:
    """Wait for *outcome*; False if the waiting task is cancelled instead."""
    with suppress(asyncio.CancelledError):
        await asyncio.wait([outcome])
        return True
    return False
