"""Those who write together, brought together."""

from __future__ import annotations

from collections.abc import Callable

import trio

from ._group import Item
from ._pace import MAX_GROUP

MAX_PASSES = 4
"""For so many passes of the loop, commands wait for others to come along."""


class Gathering:
    """Holds commands until a pass of the loop brings no more, and hands them over at once.

    Who got their answers together write again together, in the passes that follow.
    """

    def __init__(self, token: trio.lowlevel.TrioToken, hand_over: Callable[[list[Item]], None]):
        """*hand_over* is called in the loop."""
        self._token = token
        self._hand_over = hand_over
        self._items: list[Item] = []

    def add(self, item: Item) -> None:
        """Take a command."""
        self._items.append(item)
        if len(self._items) == 1:
            self._token.run_sync_soon(self._look, 1, MAX_PASSES)
        elif len(self._items) >= MAX_GROUP:
            self.end()

    def end(self) -> None:
        """Hand over what there is."""
        if self._items:
            items, self._items = self._items, []
            self._hand_over(items)

    def _look(self, seen: int, passes: int) -> None:
        found = len(self._items)
        if found > seen and passes > 0:
            self._token.run_sync_soon(self._look, found, passes - 1)
        else:
            self.end()
