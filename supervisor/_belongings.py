"""What belongs to one incarnation, and ends with it: tasks, timers, monitors, links, shields."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from ._context import Context
from ._desk import Desk
from ._errors import ActorDead
from ._exits import Down, Exit
from ._links import Link, link
from ._monitor import Monitor
from ._sources import Sources
from ._tasks import Tasks

if TYPE_CHECKING:
    from ._cell import Cell
    from ._ref import Ref


class Belongings(Desk, ABC):
    """Made when they are first used: most actors have none."""

    __slots__ = (
        "_context", "_ending", "_links", "_on_peer_ended", "_shields", "_sources", "_tasks",
        "killed",
    )  # fmt: skip

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        self.killed = False
        self._ending = False
        self._context: Context[Any] | None = None
        self._links: dict[Belongings, Link] | None = None
        self._on_peer_ended: Callable[[Down], object] | None = None
        self._shields: set[trio.CancelScope] | None = None
        self._sources: Sources | None = None
        self._tasks: Tasks | None = None

    @abstractmethod
    def on_peer_ended(self, down: Down, reason: Exit) -> None:
        """Deal with the end of one it is linked to."""

    @abstractmethod
    def _on_error(self, error: BaseException) -> None: ...

    @property
    def context(self) -> Context[Any]:
        """What the actor sees of all this."""
        if self._context is None:
            self._context = Context(self)
        return self._context

    @property
    def tasks(self) -> Tasks:
        """The tasks beside its own."""
        if self._tasks is None:
            self._tasks = Tasks(self.cell.system.nursery, self._on_error)
            if self.killed or self._ending:
                self._tasks.cancel()
        return self._tasks

    @property
    def sources(self) -> Sources:
        """The timers and monitors."""
        if self._sources is None:
            self._sources = Sources(self, self._mailbox, self.cell.system.timers)
        return self._sources

    def start_monitor(self, ref: Ref[Any], make_message: Callable[[Down], object]) -> Monitor:
        """See :meth:`Context.monitor`."""
        return self.sources.start_monitor(ref, make_message, self._on_error)

    @property
    def links(self) -> dict[Belongings, Link]:
        """Who is linked to it, and how."""
        if self._links is None:
            self._links = {}
        return self._links

    def link(self, ref: Ref[Any]) -> Link:
        """See :meth:`Context.link`."""
        other = ref._cell.incarnation  # noqa: SLF001
        if other is None:
            raise ActorDead(f"{ref.path} does not run")
        if other is self:
            raise ValueError(f"{ref.path} cannot be linked to itself")
        return link(self, other)

    def trap_exits(self, make_message: Callable[[Down], object] | None) -> None:
        """See :meth:`Context.trap_exits`."""
        self._on_peer_ended = make_message

    def raise_shield(self, scope: trio.CancelScope) -> None:
        """Note a shield, which :meth:`kill` lowers."""
        if self._shields is None:
            self._shields = set()
        self._shields.add(scope)
        scope.shield = not self.killed

    def drop_shield(self, scope: trio.CancelScope) -> None:
        """Forget a shield."""
        if self._shields is not None:
            self._shields.discard(scope)

    def _is_trapped(self, down: Down) -> bool:
        """Hear of an end that is not to be shared."""
        trap = self._on_peer_ended
        if trap is not None:
            self.sources.tell(down, trap, self._on_error)
        return trap is not None

    def _cut_short(self) -> None:
        for shield in self._shields or ():
            shield.shield = False
        if self._tasks is not None:
            self._tasks.cancel()

    def _cancel_sources(self) -> None:
        if self._sources is not None:
            self._sources.cancel()
