"""Who holds which file, and who is next: the locks without tasks, clocks or waiting.

A request names all its keys at once and joins all their queues in one step.  So it stands behind
exactly those that came before it, in every queue alike: whoever waits, waits for an older request
only, and the oldest waits for nobody.  That is the global order; there can be no cycle, no
deadlock, and nobody is overtaken.

A key is shared by all that ask for it so, or held by one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

import attrs

Key: TypeAlias = tuple[str, str]
"""A project, and the canonical key of a file in it."""


@attrs.define(eq=False)
class Ticket:
    """One request, from when it is made until it is returned."""

    holder: str
    """Who asks, for those that wait."""
    keys: tuple[Key, ...]
    """All different; those in *shared* are, the others are held alone."""
    shared: frozenset[Key]
    asked_at: float
    """Seconds, of the caller's clock."""
    on_granted: Callable[[], None]
    """Called when waiting is over; not if there was no need to wait."""
    missing: int = 0
    """In how many queues it does not stand in front yet."""
    granted_at: float | None = None

    @property
    def since(self) -> float:
        """From when others have had to wait for it."""
        return self.asked_at if self.granted_at is None else self.granted_at


@attrs.define(eq=False)
class _Queue:
    """Of one key: those who have it, and those who wait for it, oldest first."""

    holders: dict[Ticket, None] = attrs.field(factory=dict)
    waiting: deque[Ticket] = attrs.field(factory=deque)

    def admits(self, ticket: Ticket, key: Key) -> bool:
        """Whether *ticket*, the oldest that waits, may have it now."""
        if not self.holders:
            return True
        return key in ticket.shared and key in next(iter(self.holders)).shared


@attrs.frozen
class Obstacle:
    """Who has the key that somebody waits for."""

    ticket: Ticket
    key: Key


@attrs.frozen
class LockInfo:
    """One key that somebody has."""

    project: str
    path: str
    """As all spellings of it are written; `.` is the project as a whole."""
    holder: str
    held_s: float
    """Seconds; of a holder that waits for its other keys, since it asked."""
    waits: bool
    """Whether the holder itself still waits for another key."""
    shared: bool
    queue: tuple[str, ...]
    """Who waits, next first."""


class LockTable:
    """All locks there are; used from one thread."""

    def __init__(self) -> None:
        self._queues: dict[Key, _Queue] = {}

    def __len__(self) -> int:
        """How many keys somebody has or waits for."""
        return len(self._queues)

    def request(self, ticket: Ticket, now: float) -> bool:
        """Join the queues of all its keys; True if it has them all at once."""
        for key in ticket.keys:
            queue = self._queues.get(key)
            if queue is None:
                queue = self._queues[key] = _Queue()
            if not queue.waiting and queue.admits(ticket, key):
                queue.holders[ticket] = None
            else:
                queue.waiting.append(ticket)
                ticket.missing += 1
        if ticket.missing:
            return False
        ticket.granted_at = now
        return True

    def give_back(self, ticket: Ticket, now: float) -> None:
        """Leave all queues, whether it was granted or not; calls those that are granted now."""
        for key in ticket.keys:
            queue = self._queues[key]
            if ticket in queue.holders:
                del queue.holders[ticket]
            else:
                queue.waiting.remove(ticket)
            self._admit(key, queue, now)
            if not queue.holders and not queue.waiting:
                del self._queues[key]

    def obstacle(self, ticket: Ticket) -> Obstacle:
        """Return what *ticket*, which is not granted, waits for: of its keys, the first."""
        key = next(key for key in ticket.keys if ticket not in self._queues[key].holders)
        return Obstacle(next(iter(self._queues[key].holders)), key)

    def list(self, now: float) -> tuple[LockInfo, ...]:
        """Return what is held, sorted by key, one entry for each holder."""
        return tuple(
            self._info(key, ticket, now)
            for key in sorted(self._queues)
            for ticket in self._queues[key].holders
        )

    def _admit(self, key: Key, queue: _Queue, now: float) -> None:
        while queue.waiting and queue.admits(queue.waiting[0], key):
            ticket = queue.waiting.popleft()
            queue.holders[ticket] = None
            ticket.missing -= 1
            if not ticket.missing:
                ticket.granted_at = now
                ticket.on_granted()

    def _info(self, key: Key, ticket: Ticket, now: float) -> LockInfo:
        return LockInfo(
            project=key[0],
            path=key[1] or ".",
            holder=ticket.holder,
            held_s=now - ticket.since,
            waits=ticket.granted_at is None,
            shared=key in ticket.shared,
            queue=tuple(each.holder for each in self._queues[key].waiting),
        )
