"""What all contenders have in common."""

from __future__ import annotations

import trio

CAPACITY = 1024
ASKERS = 100
RING = 1000
BURST = 64
"""Messages that a producer tells before it lets others run."""


class Boom(Exception):
    """Crashes an incarnation."""


class Countdown:
    """An event that takes several to happen."""

    def __init__(self, left: int) -> None:
        self._left = left
        self.done = trio.Event()

    def one(self) -> None:
        self._left -= 1
        if not self._left:
            self.done.set()
