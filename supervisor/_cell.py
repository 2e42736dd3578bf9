"""What outlives the incarnations of a child: its mailbox, its address and its place."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import trio

from ._admin import SupervisorRef
from ._errors import ActorDead, AlreadyStarted, DeadlockError
from ._events import Offender, ShutdownError
from ._exits import Down, Exit
from ._incarnation import Incarnation
from ._mailbox import POISON, Mailbox
from ._monitor import Monitor
from ._ref import Ref
from ._shared import Shared
from ._solo import Solo
from ._timers import Timer

if TYPE_CHECKING:
    from ._spec import ChildSpec
    from ._system import System

ChildState: TypeAlias = Literal["running", "restarting", "stopped"]


class Keeper(Protocol):
    """Who keeps a cell: a supervisor, or the system its root."""

    def hear(self, incarnation: Incarnation) -> None:
        """Hear that an incarnation has ended."""


class Cell:
    """One child, as its supervisor keeps it."""

    # There is one for every child, running or not.
    __slots__ = (
        "args", "attempt", "context", "count", "id", "incarnation", "keeper", "last_exit",
        "mailbox", "monitors", "parent", "ref", "restarts", "retry", "retry_number",
        "spec", "started_at", "state", "system", "watched",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913 - what a supervisor knows of a child
        self,
        system: System,
        parent: SupervisorRef | None,
        spec: ChildSpec,
        context: contextvars.Context,
        keeper: Keeper,
        *,
        template_id: str | None = None,
        more_args: tuple[Any, ...] = (),
    ) -> None:
        self.system = system
        self.parent = parent
        self.spec = spec
        self.id = template_id or spec.id
        """Its own, where the specification is a template."""
        self.args = spec.args + more_args
        self.context = context
        self.keeper = keeper
        self.mailbox = Mailbox(spec.capacity)
        ref_type: type[Ref[Any]] = SupervisorRef if spec.kind == "supervisor" else Ref
        self.ref = self.mailbox.ref = ref_type(self)
        self.count = 0
        self.incarnation: Incarnation | None = None
        self.started_at = 0.0
        self.last_exit: Exit | None = None
        self.monitors: dict[Monitor, None] | None = None
        # For the supervisor.
        self.state: ChildState = "stopped"
        self.attempt = 0
        self.restarts = 0
        self.retry: Timer | None = None
        self.retry_number = 0
        """Which announced retry is the one that counts."""
        self.watched: Incarnation | None = None
        """The incarnation whose end has not been dealt with."""

    @property
    def path(self) -> str:
        """The ids from the root down."""
        return self.id if self.parent is None else f"{self.parent.path}/{self.id}"

    def begin(self, predecessor: Incarnation | None = None) -> Incarnation:
        """Start an incarnation; its `until_ready` tells when it has started, or has not.

        Args:
            predecessor: the one that is just ending, if the new one may have its task.

        Raises:
            AlreadyStarted: the name it is to be registered under belongs to another.
            BadSpec: that is no name.
        """
        name = self.spec.name_of(self.args)
        if name is not None:
            self._claim(name)
        self.count += 1
        self.mailbox.open = True
        self.mailbox.suspended = False
        if name is not None:
            self.system.register(name, self.ref)
        lane = Shared if self.spec.lane == "shared" else Solo
        incarnation: Incarnation = lane(self, self.count)
        self.watched = self.incarnation = incarnation
        self.started_at = trio.current_time()
        # Every incarnation gets the context of whoever started the child, not that of whatever
        # made its supervisor start it again.
        incarnation.begin(self.context.copy(), predecessor)
        return incarnation

    def _claim(self, name: str) -> None:
        holder = self.system.whereis(name)
        if holder is not None and holder is not self.ref:
            raise AlreadyStarted(holder)

    def ended(self, incarnation: Incarnation, reason: Exit) -> None:
        """Note the end of the incarnation; what it means is the supervisor's to say."""
        self.incarnation = None
        self.last_exit = reason
        if self.spec.backoff is not None and incarnation.ran:
            ran_for = trio.current_time() - self.started_at
            self.attempt = self.spec.backoff.next_attempt(self.attempt, ran_for)
        self.keeper.hear(incarnation)

    def settle(self, *, final: bool) -> None:
        """Tell the monitors of an end; after a *final* one, the address is dead."""
        if final:
            self.mailbox.close()
            self.system.forget(self.ref)
        elif self.spec.mailbox == "drop":
            self.mailbox.drop_queued("dropped_on_restart")
            self.mailbox.refill()
        if self.monitors:
            down = Down(self.ref, self.count, self.last_exit, final)
            monitors, self.monitors = self.monitors, None
            for monitor in monitors:
                monitor.notify(down)

    def add_monitor(self, monitor: Monitor) -> None:
        """Have *monitor* hear of the next end."""
        if self.monitors is None:
            self.monitors = {}
        self.monitors[monitor] = None

    def drop_monitor(self, monitor: Monitor) -> None:
        """Have *monitor* hear of nothing."""
        if self.monitors is not None:
            self.monitors.pop(monitor, None)

    def change(self, spec: ChildSpec, more_args: tuple[Any, ...]) -> None:
        """Take over *spec*; what is running keeps running."""
        self.spec = spec
        self.args = spec.args + more_args
        self.mailbox.capacity = spec.capacity
        self.mailbox.refill()

    def call_off_retry(self) -> None:
        """Make every announced retry void."""
        self.retry_number += 1
        if self.retry is not None:
            self.retry.cancel()
            self.retry = None

    def down_if_dead(self) -> Down | None:
        """What a monitor is to hear at once, if the address is dead."""
        if self.mailbox.open:
            return None
        return Down(self.ref, self.count, self.last_exit, final=True)

    def check_ask(self, task: trio.lowlevel.Task) -> None:
        """Raise ActorDead, or DeadlockError, where a question could not be answered."""
        if not self.mailbox.open:
            raise ActorDead(self.path)
        if self.incarnation is not None and self.incarnation.task is task:
            raise DeadlockError(f"{self.path} asks itself")

    def offender(self) -> Offender:
        """The child as events name it."""
        spec = self.spec
        return Offender(self.id, self.ref, self.count, spec.restart, spec.shutdown, spec.kind)

    def report_stop_error(self, reason: Exit) -> None:
        """Tell that the stop went wrong."""
        supervisor = "" if self.parent is None else self.parent.path
        self.system.emit(ShutdownError(supervisor, self.offender(), reason))

    def poison(self) -> None:
        """Have the incarnation stop that comes to the end of what is queued now."""
        self.mailbox.put_note(POISON)
