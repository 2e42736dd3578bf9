"""A tree of actors in one nursery, from its start to its end."""

from __future__ import annotations

import math
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import copy_context
from typing import Any, cast

import trio

from ._admin import SupervisorRef
from ._cell import Cell
from ._dead_letters import DeadLetters
from ._errors import ActorDead, ActorError, NameTaken, SupervisorGaveUp
from ._events import LOG, Event, log_event
from ._exits import Crash, Exit, ShutdownExit, collapse
from ._incarnation import Incarnation
from ._policy import Intensity, Strategy
from ._ref import Ref
from ._shared import Dispatcher
from ._supervisor import Supervisor
from ._timers import Timers
from ._tree import TreeNode, tree_of


class System:
    """A running tree; made by :func:`open_system`."""

    def __init__(
        self,
        name: str,
        grace: float,
        on_event: Callable[[Event], None],
        rng: random.Random,
    ) -> None:
        self.name = name
        self.timers = Timers()
        self.dispatcher = Dispatcher()
        self.rng = rng
        self.dead_letters = DeadLetters()
        self.nursery: trio.Nursery
        """For the runtime: actors start tasks by their context."""
        self.failure: BaseException | None = None
        """Why the system ends, if not because its block was left."""
        self.on_abort: Callable[[], None] = lambda: None
        self._grace = grace
        self._on_event = on_event
        self._names: dict[str, Ref[Any]] = {}
        self._names_of: dict[Ref[Any], str | tuple[str, ...]] = {}
        """A name stands for itself where it is the only one: a tuple weighs 48 bytes."""
        self._root: Cell
        self.up = trio.Event()
        """The root runs."""
        self.done = trio.Event()
        """The last actor has ended."""
        self._left = trio.Event()
        self._leaving = False
        self._hurried = False
        self._patience = trio.CancelScope()
        self._watching = trio.CancelScope()

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
        names = self._names_of.setdefault(ref, name)
        if name not in _all(names):
            self._names_of[ref] = (*_all(names), name)

    def whereis(self, name: str) -> Ref[Any] | None:
        """Who has the name; also while it is being started again."""
        return self._names.get(name)

    def forget(self, ref: Ref[Any]) -> None:
        """Free the names of *ref*."""
        for name in _all(self._names_of.pop(ref, ())):
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

    async def host(self, intensity: Intensity, strategy: Strategy) -> None:
        """Be the host of all actors, until :meth:`leave` and the end of the last one."""
        # What cancels the block does not reach the actors, so that they can be stopped in order.
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                self.nursery = nursery
                nursery.start_soon(self.timers.run, name=f"{self.name}: timers")
                nursery.start_soon(self.dispatcher.run, name=f"{self.name}: shared lane")
                spec = Supervisor.spec(self.name, strategy=strategy, intensity=intensity)
                self._root = Cell(self, None, spec, copy_context(), self)
                root = self._root.begin()
                await root.until_ready()
                self._root.state = "running"
                self.up.set()
                await self._left.wait()
                await self._stop(root)
                self.done.set()
                nursery.cancel_scope.cancel()
        self._watching.cancel()

    async def watch(self) -> None:
        """Note when the block is cancelled."""
        try:
            with self._watching:
                await trio.sleep_forever()
        finally:
            self._hurried = True
            self._patience.deadline = trio.current_time() + self._grace

    def leave(self) -> None:
        """Stop the tree."""
        self._leaving = True
        self._left.set()

    async def _stop(self, root: Incarnation) -> None:
        if root.exit is None:
            root.shut(math.inf)
        if self._hurried:
            self._patience.deadline = trio.current_time() + self._grace
        with self._patience:
            await root.until_ended()
        root.kill()
        await root.until_ended()

    def hear(self, incarnation: Incarnation) -> None:
        """Note that the root has ended."""
        self._root.state = "stopped"
        self._root.settle(final=True)
        if not self._leaving:
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
    error: BaseException | None = None
    system = System(name, grace, on_event, rng or random.Random())  # noqa: S311 - only jitter
    try:
        async with trio.open_nursery() as block:
            block.start_soon(system.host, intensity, strategy)
            block.start_soon(system.watch)
            system.on_abort = block.cancel_scope.cancel
            try:
                # Not `start`: what it starts must not be shielded until it has started.
                await system.up.wait()
                yield system
            finally:
                system.leave()
    except (BaseExceptionGroup, ActorError) as caught:
        # The nursery puts what the block raised into a group; ours never adds a second error.
        error = caught
        if isinstance(caught, BaseExceptionGroup) and len(caught.exceptions) == 1:
            error = caught.exceptions[0]
    # A block that met a dead actor because of the failure has nothing better to tell.
    if error is None or (system.failure is not None and isinstance(error, ActorError)):
        error = system.failure
    if error is not None:
        try:
            raise error
        finally:
            del error  # or it would hold its own traceback


def _all(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def _as_error(root: Cell, reason: Exit | None) -> BaseException:
    match reason:
        case ShutdownExit(info=SupervisorGaveUp() as gave_up):
            return gave_up
        case Crash(error):
            return error
        case _:
            return SupervisorGaveUp(root.path, f"{root.path} ({reason})")
