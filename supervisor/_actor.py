"""What users write: an actor as a class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._exits import Exit

if TYPE_CHECKING:
    from ._cell import Cell
    from ._context import Context
    from ._incarnation import Incarnation

M = TypeVar("M")


class Actor(Generic[M]):
    """One incarnation of a child: made anew, from the specification's arguments, at each start."""

    __slots__ = ("_incarnation",)
    _incarnation: Incarnation

    @property
    def ctx(self) -> Context[M]:
        """What it sees of the runtime.  Not yet there in `__init__`."""
        return self._incarnation.context

    async def started(self) -> object:
        """Prepare.  The supervisor's `start_child` returns after this.

        May return :data:`IGNORE`, and else returns None.  What it raises makes the start fail;
        `stopped` is not called then.
        """
        return None

    def receive(self, msg: M) -> Any:
        """Handle one message: a plain or an async method.

        What it returns answers an `ask`; return a :class:`Reply` to raise an error in the asker.
        What it raises crashes this incarnation.
        """
        raise NotImplementedError(f"{type(self).__name__}.receive got {msg!r}")

    async def stopped(self, reason: Exit) -> None:
        """Clean up.  Called however it ended, except when it was killed.

        Not cancelled before the time for the shutdown is over.
        """

    def state(self) -> object:
        """What `get_state` returns: by default a copy of the attributes."""
        return dict(getattr(self, "__dict__", {}))

    # What supervisors do otherwise.

    def _below(self) -> Iterator[Cell]:
        """Return the children."""
        return iter(())

    async def _wind_up(self, reason: Exit, *, ran: bool) -> None:
        """Clean up in the time there is; *ran* says whether `started` was completed."""
        if ran:
            await self.stopped(reason)

    async def _let_go(self) -> None:
        """Do what must be done whatever became of the cleaning up."""
