"""Connections, and which of them are of callers that were let in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import trio

from ._peer import Peer

STRANGERS_MESSAGE_BYTES = 16 * 1024
"""All that somebody has to say who was not let in yet is who he is."""


@attrs.frozen(eq=False)
class Visit:
    """One connection."""

    peer: Peer
    scope: trio.CancelScope
    _strangers: Strangers
    _message_bytes: int

    @property
    def message_bytes(self) -> int:
        """How long a message may be now."""
        return STRANGERS_MESSAGE_BYTES if self in self._strangers else self._message_bytes

    @contextmanager
    def known(self) -> Iterator[None]:
        """Count the visitor among those who were let in, while the block runs."""
        self._strangers.leave(self)
        try:
            yield
        finally:
            self._strangers.enter(self)


class Strangers:
    """Connections of one door on which nobody is let in; the oldest makes room for the newest.

    So whoever opens connections and says nothing keeps nobody else out.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._visits: OrderedDict[Visit, None] = OrderedDict()

    def __contains__(self, visit: Visit) -> bool:
        return visit in self._visits

    def enter(self, visit: Visit) -> None:
        """Add a visit, and cut the oldest where there are too many."""
        self._visits[visit] = None
        if len(self._visits) > self._most:
            oldest, _ = self._visits.popitem(last=False)
            oldest.scope.cancel()

    def leave(self, visit: Visit) -> None:
        """Take a visit out, if it is still in."""
        self._visits.pop(visit, None)
