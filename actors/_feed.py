"""The change feed: tells of every committed change, once, in order, in the log's own words.

A commit is only a hint that there is something to read.  What is told is read from the log, so
nothing is told that was not kept, and a feed that is started again goes on where the log says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs

from ..storage import Change
from ..supervisor import Actor, Context, Reply
from ._fanout import Fanout, PlaceGone, Subscription

NAME = "feed"


@attrs.frozen
class Committed:
    """Something was committed."""


@attrs.frozen
class Subscribe:
    """Answered with a :class:`Subscription` that begins after change number *after*.

    Refused with :class:`PlaceGone` where the log cannot be told from there.
    """

    after: int | None = None
    """None: with what comes from now on."""


@attrs.frozen
class LowWater:
    """Answered with the last change that everybody has been told of."""


@attrs.frozen
class GiveUp:
    """Nobody may begin before change number *seq* any more: what is up to there will be trimmed.

    Answered with whether that holds: not while somebody has not been told of it.
    """

    seq: int


Message: TypeAlias = Committed | Subscribe | LowWater | GiveUp


class Feed(Actor[Message]):
    """Reads the log and hands it on."""

    ctx: Context[Message]

    def __init__(self, fanout: Fanout, on_changes: Callable[[list[Change]], None]) -> None:
        """*on_changes* gets every group of changes before any subscriber does.

        It may get one again, when it failed over it.
        """
        self._fanout = fanout
        self._on_changes = on_changes

    async def started(self) -> None:
        """Begin where the last incarnation stopped; the first, at the end of the log."""
        if self._fanout.told < 0:
            self._fanout.told = self._fanout.reads.last_seq()
        self._hand_on()

    def receive(self, message: Message) -> Subscription | Reply | int | None:
        """Hand on what is new, take a subscriber in, or say how far all have come."""
        match message:
            case Committed():
                self._hand_on()
            case Subscribe(after):
                self._hand_on()
                try:
                    return self._fanout.subscribe(after)
                except PlaceGone as refusal:
                    return Reply(error=refusal)
            case LowWater():
                return self._fanout.low_water()
            case GiveUp(seq):
                return self._fanout.give_up(seq)
        return None

    def _hand_on(self) -> None:
        while changes := self._fanout.reads.changes(self._fanout.told):
            self._on_changes(changes)
            self._fanout.tell(changes)
