"""A question on its way, and the place where its answer goes.

The asker's task is the reply slot: an answer is one `reschedule`, with no event in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import attrs
import trio
from outcome import Error, Outcome, Value

from ._errors import AskTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._ref import Ref


@attrs.frozen
class Reply:
    """Returned by `receive`: answers with *value*, or raises *error* in the asker.

    For errors that belong to the domain: the actor itself goes on.
    """

    value: object = None
    error: Exception | None = None

    def unwrap(self) -> object:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value


@final
class Deferred:
    """The right to answer one message later, from any task of the loop.

    The first answer counts; others, and answers after the incarnation ended, do nothing.
    """

    __slots__ = ("_early", "_late", "_open", "_ref", "_task", "abandoned", "message")

    abandoned: bool
    """The asker has gone: it timed out or was cancelled.  May be read from any thread."""

    def __init__(
        self, message: object, task: trio.lowlevel.Task | None, ref: Ref[Any] | None
    ) -> None:
        self.message = message
        self.abandoned = False
        self._task = task
        self._ref = ref
        self._open: dict[Deferred, None] | None = None
        self._late = False
        self._early: Outcome[Any] | bool = False
        """True while the asker is not parked yet; the answer, if it came in that time."""

    @trio.lowlevel.enable_ki_protection
    def answer(self, value: object = None) -> None:
        """Give the asker *value*."""
        task = self._task
        if task is not None:
            self._settle()
            self._hand_over(task, Value(value))
        elif self._late:
            self._lose(value)

    @trio.lowlevel.enable_ki_protection
    def fail(self, error: Exception) -> None:
        """Raise *error* in the asker."""
        task = self._task
        if task is not None:
            self._settle()
            self._hand_over(task, Error(error))
        elif self._late:
            self._lose(error)

    def _hand_over(self, task: trio.lowlevel.Task, answer: Outcome[Any]) -> None:
        if self._early is False:
            trio.lowlevel.reschedule(task, answer)
        else:
            self._early = answer

    def _settle(self) -> None:
        self._task = None
        if self._open is not None:
            self._open.pop(self, None)
            self._open = None

    def _lose(self, answer: object) -> None:
        self._late = False
        if self._ref is not None:
            self._ref.system.dead_letters.add(self._ref, answer, "late")

    # For the runtime.

    @property
    def waiting(self) -> bool:
        """Somebody waits for the answer."""
        return self._task is not None

    def expect_early(self) -> None:
        """Keep an answer that comes before :meth:`land`: the asker is not parked."""
        self._early = True

    def land(self) -> Outcome[Any] | None:
        """Note that the asker parks now, unless this returns the answer."""
        early, self._early = self._early, False
        return None if isinstance(early, bool) else early

    def park(self, open_asks: dict[Deferred, None]) -> None:
        """Note that it is answered later: *open_asks* are failed when the incarnation ends."""
        if self._task is not None:
            self._open = open_asks
            open_asks[self] = None

    def give_up(self, _raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
        """Trio's abort function for the asker's wait."""
        self.abandoned = True
        self._settle()
        return trio.lowlevel.Abort.SUCCEEDED

    def expire(self) -> None:
        """Raise :class:`AskTimeout` in the asker; an answer after this is a dead letter."""
        if self._task is not None:
            self.abandoned = True
            path = "?" if self._ref is None else self._ref.path
            self.fail(AskTimeout(f"{path}: no answer in time"))
            self._late = True
