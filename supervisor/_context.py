"""What an actor sees of the runtime."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from ._cleanup import Cleanup
from ._deferred import Deferred
from ._exits import Down, Exit, Normal
from ._links import Link
from ._monitor import Monitor
from ._timers import Timer

if TYPE_CHECKING:
    from ._admin import SupervisorRef
    from ._belongings import Belongings
    from ._incarnation import Incarnation
    from ._ref import Ref
    from ._solo import Solo
    from ._system import System

M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)
T = TypeVar("T")


class Inbox(Generic[M_co]):
    """The messages of a function actor: `async for message in ctx.inbox`.

    Ends when the actor is to stop.  A question that was neither answered nor deferred when the
    next message is asked for is answered with None.
    """

    __slots__ = ("_incarnation",)

    def __init__(self, incarnation: Solo) -> None:
        self._incarnation = incarnation

    def __aiter__(self) -> Inbox[M_co]:
        return self

    async def __anext__(self) -> M_co:
        return cast("M_co", await self._incarnation.next_message())


class Context(Generic[M]):
    """One incarnation's access to itself and its surroundings.

    Timers, monitors and tasks made here end with the incarnation; nothing of them reaches the
    next one.
    """

    __slots__ = ("_incarnation",)

    def __init__(self, incarnation: Belongings) -> None:
        self._incarnation = cast("Incarnation", incarnation)

    @property
    def inbox(self) -> Inbox[M]:
        """The messages, for function actors.

        Raises:
            NotSupported: an Actor's messages go to its `receive`.
        """
        return Inbox(self._incarnation.as_reader())

    @property
    def self(self) -> Ref[M]:
        """The actor's own address."""
        return self._incarnation.cell.ref

    @property
    def path(self) -> str:
        """As `ref.path`."""
        return self._incarnation.cell.path

    @property
    def system(self) -> System:
        """Where it lives."""
        return self._incarnation.cell.system

    @property
    def parent(self) -> SupervisorRef:
        """The supervisor.  To await its answer from `started` would be a deadlock.

        Raises:
            LookupError: this is the root.
        """
        parent = self._incarnation.cell.parent
        if parent is None:
            raise LookupError("the root has no parent")
        return parent

    @property
    def incarnation(self) -> int:
        """1 at first, one more at each start."""
        return self._incarnation.number

    def start_soon(
        self, function: Callable[..., Awaitable[object]], *args: Any, name: object = None
    ) -> None:
        """Run *function* beside the actor, which crashes if it raises.

        It is cancelled and awaited before `stopped`.
        """
        self._incarnation.tasks.start_soon(function, *args, name=name)

    def after(self, delay: float, message: M) -> Timer:
        """Put *message* in the own mailbox in *delay* seconds."""
        return self._incarnation.sources.start_timer(delay, message, period=None)

    def every(self, period: float, message: M) -> Timer:
        """Put *message* in the own mailbox every *period* seconds, without drift.

        While one is queued no second one is.
        """
        if not period > 0:
            raise ValueError(f"period={period}: seconds, more than 0")
        return self._incarnation.sources.start_timer(period, message, period=period)

    def defer(self) -> Deferred:
        """Take the right to answer the message in hand; what `receive` returns is ignored then.

        For a message that was told, an answer goes nowhere.

        Raises:
            RuntimeError: no message is in hand.
        """
        return self._incarnation.defer()

    def reply(self, value: object = None) -> None:
        """Answer the message in hand now: for function actors."""
        self.defer().answer(value)

    def stash(self) -> None:
        """Put the message in hand aside, with its asker; what `receive` returns is ignored then.

        Raises:
            StashFull: as many as the mailbox's capacity are there already.
            RuntimeError: no message is in hand.
        """
        self._incarnation.stash()

    def unstash_all(self) -> None:
        """Put all stashed messages back, in their order, before what is queued."""
        self._incarnation.unstash_all()

    def monitor(self, ref: Ref[T], make_message: Callable[[Down], M]) -> Monitor:
        """Put what *make_message* makes of the one :class:`Down` in the own mailbox."""
        return self._incarnation.start_monitor(ref, make_message)

    def link(self, ref: Ref[Any]) -> Link:
        """End together with the incarnation of *ref* that runs now.

        When one of the two crashes, is killed or shuts down, so does the other, for the same
        reason; :class:`Normal` is none.  There is one link for two incarnations.

        Raises:
            ActorDead: none runs.
            ValueError: it is oneself.
        """
        return self._incarnation.link(ref)

    def trap_exits(self, make_message: Callable[[Down], M] | None) -> None:
        """Get the ends of linked ones as messages, also normal ones, instead of ending too."""
        self._incarnation.trap_exits(make_message)

    def cleanup(self, seconds: float) -> Cleanup:
        """Shield what must be finished: `async with ctx.cleanup(5): ...`.

        The block is not cancelled before *seconds* are over, unless the actor is killed; a shield
        of trio's own would make it unkillable.
        """
        return Cleanup(self._incarnation, seconds)

    def stop(self, reason: Exit | None = None) -> None:
        """End by oneself after the message in hand, as :class:`Normal` by default."""
        self._incarnation.finish(Normal() if reason is None else reason)
