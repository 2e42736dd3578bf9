"""What an incarnation has in hand, has put aside, and has put off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ._deferred import Deferred, Reply
from ._errors import ActorCrashed, ActorDead, StashFull
from ._exits import Crash, Exit

if TYPE_CHECKING:
    from ._cell import Cell

NOTHING: Final = object()
"""No message is in hand."""
TAKEN: Final = object()
"""The message in hand was deferred or stashed."""


class Desk:
    """The message in hand, the stash, and the questions to be answered later."""

    __slots__ = ("_hand", "_mailbox", "_open_asks", "_stash", "cell")

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self._mailbox = cell.mailbox
        self._hand: Any = NOTHING
        self._open_asks: dict[Deferred, None] | None = None
        self._stash: list[Any] | None = None

    def defer(self) -> Deferred:
        """See :meth:`Context.defer`."""
        if self._hand is NOTHING:
            raise RuntimeError("no message is in hand")
        hand = self._take_hand()
        if type(hand) is not Deferred:
            return Deferred(None, None, None)
        hand.park(self._asks())
        return hand

    def stash(self) -> None:
        """See :meth:`Context.stash`."""
        if self._hand is NOTHING or self._hand is TAKEN:
            raise RuntimeError("no message is in hand")
        if self._stash is None:
            self._stash = []
        if len(self._stash) >= self._mailbox.capacity:
            raise StashFull(self.cell.path)
        self._stash.append(self._take_hand())

    def unstash_all(self) -> None:
        """See :meth:`Context.unstash_all`."""
        stash, self._stash = self._stash, None
        if stash:
            self._mailbox.put_back(stash)

    def _take_hand(self) -> Any:
        hand, self._hand = self._hand, TAKEN
        return hand

    def _asks(self) -> dict[Deferred, None]:
        if self._open_asks is None:
            self._open_asks = {}
        return self._open_asks

    def _let_go_of_hand(self, reason: Exit) -> None:
        hand, self._hand = self._hand, NOTHING
        if type(hand) is Deferred:
            hand.fail(self._gone(reason))

    def _let_go_of_asks(self, reason: Exit) -> None:
        for ask in list(self._open_asks or ()):
            ask.fail(self._gone(reason))

    def _gone(self, reason: Exit) -> ActorDead | ActorCrashed:
        path = self.cell.path
        if not isinstance(reason, Crash):
            return ActorDead(f"{path} ended before it answered: {reason}")
        gone = ActorCrashed(f"{path}: {reason}")
        gone.__cause__ = reason.error
        return gone


def answer(ask: Deferred, result: object) -> None:
    """Answer *ask* with what `receive` returned."""
    if type(result) is not Reply:
        ask.answer(result)
    elif result.error is None:
        ask.answer(result.value)
    else:
        ask.fail(result.error)
