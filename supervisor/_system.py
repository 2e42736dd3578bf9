"""A tree of actors in one nursery, from its start to its end."""

from __future__ import annotations

import contextvars
import math
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import trio

from ._admin import SupervisorRef
from ._cell import Cell
from ._dead_letters import DeadLetters
from ._errors import ActorDead, ActorError, NameTaken, SupervisorGaveUp
from ._events import LOG, Event, log_event
from ._exits import Crash, Exit, ShutdownExit
from ._incarnation import Incarnation, collapse
from ._policy import Intensity, Strategy
from ._ref import Ref
from ._supervisor import Supervisor
from ._timers import Timers
from ._tree import TreeNode, tree_of


class System:
    """A running tree; made by :func:`open_system`."""

    def __init__(
        self,
        name: str,
        nursery: trio.Nursery,
        on_event: Callable[[Event], None],
        rng: random.Random,
    ) -> None:
        self.name = name
        self.nursery = nursery
        """For the runtime: actors start tasks by their context."""
        self.timers = Timers()
        self.rng = rng
        self.dead_letters = DeadLetters()
        self.failure: BaseException | None = None
        """Why the system ends, if not because its block was left."""
        self.closing = False
        """The root has been told to stop."""
        self.on_abort: Callable[[], None] = lambda: None
        self.done = trio.Event()
        self._on_event = on_event
        self._names: dict[str, Ref[Any]] = {}
        self._names_of: dict[Ref[Any], set[str]] = {}
        self._root: Cell
        self._root_run: Incarnation

    @property
    def root(self) -> SupervisorRef:
        """The supervisor that everything is under."""
        return cast("SupervisorRef", self._root.ref)

    def register(self, name: str, ref: Ref[Any]) -> None:
        """Give *ref* a name, until it is dead for good.

        Raises:
            NameTaken: another has it.
            ActorDead: *ref* is dead already.
        """
        if not ref.alive:
            raise ActorDead(ref.path)
        holder = self._names.setdefault(name, ref)
        if holder is not ref:
            raise NameTaken(f"{name} is {holder.path}")
        self._names_of.setdefault(ref, set()).add(name)

    def whereis(self, name: str) -> Ref[Any] | None:
        """Who has the name; also while it is being started again."""
        return self._names.get(name)

    def forget(self, ref: Ref[Any]) -> None:
        """Free the names of *ref*."""
        for name in self._names_of.pop(ref, ()):
            del self._names[name]

    def tree(self) -> TreeNode:
        """Draw all that there is."""
        return tree_of(self._root)

    def emit(self, event: Event) -> None:
        """Hand *event* to whoever wants to know."""
        try:
            self._on_event(event)
        except Exception:  # noqa: BLE001 - a listener is no reason to stop
            LOG.exception("on_event raised")

    def abort(self, error: BaseException) -> None:
        """End the system with *error*, which is none that a supervisor can judge."""
        if self.failure is None:
            self.failure = collapse(error)
        self.on_abort()

    # Its life.

    async def start(self, intensity: Intensity, strategy: Strategy) -> None:
        """Start the root."""
        self.nursery.start_soon(self.timers.run, name=f"{self.name}: timers")
        spec = Supervisor.spec(self.name, strategy=strategy, intensity=intensity)
        self._root = Cell(self, None, spec, contextvars.copy_context(), self._root_ended)
        incarnation = self._root.begin()
        await incarnation.ready.wait()
        self._root.state = "running"
        self._root_run = incarnation

    async def stop(self, grace: float) -> None:
        """Stop the tree, in its order; when that is cancelled, kill it *grace* seconds later."""
        run = self._root_run
        self.closing = True
        if run.exit is None:
            run.shut(math.inf)
        try:
            await run.ended.wait()
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                with trio.move_on_after(grace):
                    await run.ended.wait()
                run.kill()
                await run.ended.wait()
            raise

    def _root_ended(self, incarnation: Incarnation) -> None:
        self._root.state = "stopped"
        self._root.settle(final=True)
        if not self.closing:
            self.abort(_as_error(self._root, incarnation.exit))


@asynccontextmanager
async def open_system(  # noqa: PLR0913 - all but the name are optional
    name: str,
    *,
    strategy: Strategy = Strategy.ONE_FOR_ONE,
    intensity: Intensity = Intensity(),  # noqa: B008 - immutable
    grace: float = 5.0,
    on_event: Callable[[Event], None] = log_event,
    rng: random.Random | None = None,
) -> AsyncIterator[System]:
    """Run a system for the length of a block.

    Leaving the block stops the tree: supervisors stop their children in reverse order, and
    take the time that their specifications give them.

    Args:
        name: the root's id, with which all paths begin.
        strategy: of the root supervisor.
        intensity: of the root supervisor.
        grace: seconds that stopping may take if the block is cancelled from outside.
        on_event: gets every event, in the loop; it does not block.
        rng: for the jitter of back-offs.

    Raises:
        SupervisorGaveUp: the root gave up, from the last crash.  The block is cancelled then.
    """
    system: System | None = None
    error: BaseException | None = None
    try:
        async with trio.open_nursery() as block:
            system = await block.start(_host, name, on_event, rng or random.Random())  # noqa: S311
            system.on_abort = block.cancel_scope.cancel
            await system.start(intensity, strategy)
            try:
                yield system
            finally:
                try:
                    await system.stop(grace)  # noqa: ASYNC102 - shields itself when it must
                finally:
                    system.done.set()
    except BaseException as caught:  # noqa: BLE001, ASYNC103 - raised below
        error = _unwrapped(caught)
    failure = None if system is None else system.failure
    # A block that met a dead actor because of the failure has nothing better to tell.
    if failure is not None and (error is None or isinstance(error, ActorError)):
        error = failure
    if error is not None:
        try:
            raise error
        finally:
            del error, failure


def _unwrapped(error: BaseException) -> BaseException:
    # The nursery puts what the block raised into a group; ours never adds a second error.
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return error.exceptions[0]
    return error


async def _host(
    name: str,
    on_event: Callable[[Event], None],
    rng: random.Random,
    *,
    task_status: trio.TaskStatus[System],
) -> None:
    # Actors are shielded from whatever cancels the block, so that they can be stopped in order.
    with trio.CancelScope(shield=True):
        async with trio.open_nursery() as nursery:
            system = System(name, nursery, on_event, rng)
            task_status.started(system)
            await system.done.wait()
            nursery.cancel_scope.cancel()


def _as_error(root: Cell, reason: Exit | None) -> BaseException:
    match reason:
        case ShutdownExit(info=SupervisorGaveUp() as gave_up):
            return gave_up
        case Crash(error):
            return error
        case _:
            return SupervisorGaveUp(root.path, f"{root.path} ({reason})")
