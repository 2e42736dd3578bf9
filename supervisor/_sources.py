"""What sends messages to one incarnation by itself: its timers and monitors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from ._exits import Down
from ._mailbox import Mailbox, Note
from ._monitor import Monitor
from ._timers import Timer, Timers

if TYPE_CHECKING:
    from ._ref import Ref


class Sources:
    """Timers and monitors that end with their *owner*, and speak to nobody else."""

    def __init__(self, owner: object, mailbox: Mailbox, timers: Timers) -> None:
        self._owner = owner
        self._mailbox = mailbox
        self._service = timers
        self._timers: dict[Timer, None] = {}
        self._monitors: list[Monitor] = []

    def start_timer(self, delay: float, message: object, *, period: float | None) -> Timer:
        """Put *message* in the mailbox in *delay* seconds, and then every *period*."""

        def deliver(timer: Timer) -> None:
            if period is None:
                self._timers.pop(timer, None)
            if not timer.queued:
                timer.queued = True
                self._mailbox.put_note(Note(self._owner, message, timer))

        timer = self._service.at(trio.current_time() + delay, deliver, period=period)
        self._timers[timer] = None
        return timer

    def start_monitor(
        self,
        ref: Ref[Any],
        make_message: Callable[[Down], object],
        on_error: Callable[[BaseException], None],
    ) -> Monitor:
        """Put what *make_message* makes of the :class:`Down` in the mailbox."""

        def deliver(down: Down) -> None:
            self.tell(down, make_message, on_error)

        monitor = Monitor(ref._cell, deliver)  # noqa: SLF001
        self._monitors.append(monitor)
        monitor.start()
        return monitor

    def tell(
        self,
        down: Down,
        make_message: Callable[[Down], object],
        on_error: Callable[[BaseException], None],
    ) -> None:
        """Put what *make_message* makes of *down* in the mailbox."""
        try:
            message = make_message(down)
        except Exception as error:  # noqa: BLE001 - the watcher crashes, not who tells it
            on_error(error)
        else:
            self._mailbox.put_note(Note(self._owner, message))

    def cancel(self) -> None:
        """End all of them."""
        for timer in list(self._timers):
            timer.cancel()
        self._timers.clear()
        for monitor in self._monitors:
            monitor.cancel()
        self._monitors.clear()
