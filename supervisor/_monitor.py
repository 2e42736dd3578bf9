"""Monitors: to hear, once, of the end of an incarnation."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, final

import trio

from ._exits import Down

if TYPE_CHECKING:
    from ._cell import Cell


@final
class Monitor:
    """Calls back once with a :class:`Down`, unless it is cancelled before."""

    __slots__ = ("_cell", "_deliver")

    def __init__(self, cell: Cell, deliver: Callable[[Down], None]) -> None:
        self._cell = cell
        self._deliver = deliver

    def start(self) -> None:
        """Begin; where the target is dead already, it calls back before this returns."""
        down = self._cell.down_if_dead()
        if down is None:
            self._cell.add_monitor(self)
        else:
            self._deliver(down)

    def cancel(self) -> None:
        """Call back no more."""
        self._cell.drop_monitor(self)

    def notify(self, down: Down) -> None:
        """Call back; the cell has let go of this monitor."""
        self._deliver(down)


@final
class DownWaiter:
    """What `ref.monitor()` returns: monitors from `async with` on."""

    def __init__(self, cell: Cell) -> None:
        self._monitor = Monitor(cell, self._note)
        self._event = trio.Event()
        self._down: Down | None = None

    async def wait(self) -> Down:
        """Return the notice, when it has come; the same one every time."""
        await self._event.wait()
        assert self._down is not None  # noqa: S101 - set before the event
        return self._down

    async def __aenter__(self) -> DownWaiter:
        self._monitor.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._monitor.cancel()

    def _note(self, down: Down) -> None:
        self._down = down
        self._event.set()
