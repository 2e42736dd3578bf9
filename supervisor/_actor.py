"""What users write: an actor as a class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._exits import Exit

if TYPE_CHECKING:
    from ._context import Context

M = TypeVar("M")


class Actor(Generic[M]):
    """One incarnation of a child: made anew, from the specification's arguments, at each start."""

    ctx: Context[M]
    """Set before :meth:`started`; not yet there in `__init__`."""

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
        return {name: value for name, value in vars(self).items() if name != "ctx"}

    async def _wind_up(self, reason: Exit, *, ran: bool, killed: bool) -> None:
        """End, where *ran* says whether `started` was completed; supervisors do this otherwise."""
        if ran and not killed:
            await self.stopped(reason)
