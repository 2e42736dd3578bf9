"""The tasks that one incarnation has beside its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio


class Tasks:
    """As a nursery of its own, but one that costs nothing until it is used.

    The tasks run in the system's nursery, each under a scope of ours.  None outlives
    :meth:`close`, and an error of one is handed to *on_error* and goes no further.
    """

    def __init__(self, nursery: trio.Nursery, on_error: Callable[[BaseException], None]) -> None:
        self._nursery = nursery
        self._on_error = on_error
        self._scopes: set[trio.CancelScope] = set()
        self._closed = False
        self._empty: trio.Event | None = None

    def start_soon(
        self, function: Callable[..., Awaitable[object]], *args: Any, name: object = None
    ) -> None:
        """Run *function* until it returns or :meth:`close` cancels it."""
        scope = trio.CancelScope()
        if self._closed:
            scope.cancel()  # as a cancelled nursery does: it may run up to its first checkpoint
        self._nursery.start_soon(self._run, scope, function, args, name=name or function)
        self._scopes.add(scope)

    def cancel(self) -> None:
        """Cancel what runs, and what is started from now on."""
        self._closed = True
        for scope in self._scopes:
            scope.cancel()

    async def close(self) -> None:
        """Cancel all, and wait until none is left."""
        self.cancel()
        while self._scopes:
            self._empty = trio.Event()
            await self._empty.wait()

    async def _run(
        self, scope: trio.CancelScope, function: Callable[..., Awaitable[object]], args: tuple[Any]
    ) -> None:
        try:
            with scope:
                await function(*args)
        except Exception as error:  # noqa: BLE001 - the incarnation crashes with it
            self._on_error(error)
        except (KeyboardInterrupt, SystemExit, BaseExceptionGroup) as error:
            self._on_error(error)
        finally:
            self._scopes.discard(scope)
            if not self._scopes and self._empty is not None:
                self._empty.set()
