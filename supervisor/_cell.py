"""What outlives the incarnations of a child: its mailbox, its address and its place."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import trio

from ._admin import SupervisorRef
from ._errors import ActorDead, AlreadyStarted, DeadlockError
from ._events import Offender, ShutdownError
from ._exits import Down, Exit
from ._incarnation import Incarnation
from ._mailbox import POISON, Mailbox
from ._monitor import Monitor
from ._ref import Ref
from ._timers import Timer

if TYPE_CHECKING:
    from ._spec import ChildSpec
    from ._system import System

ChildState: TypeAlias = Literal["running", "restarting", "stopped"]


class Cell:
    """One child, as its supervisor keeps it."""

    __slots__ = (
        "attempt", "context", "count", "incarnation", "last_exit", "mailbox", "monitors", "on_end",
        "parent", "path", "ran_for", "ref", "restarts", "retry", "retry_number", "spec",
        "started_at", "state", "system", "watched",
    )  # fmt: skip

    def __init__(
        self,
        system: System,
        parent: SupervisorRef | None,
        spec: ChildSpec,
        context: contextvars.Context,
        on_end: Callable[[Incarnation], None],
    ) -> None:
        self.system = system
        self.parent = parent
        self.spec = spec
        self.context = context
        self.on_end = on_end
        self.path = spec.id if parent is None else f"{parent.path}/{spec.id}"
        self.mailbox = Mailbox(spec.capacity, spec.overflow)
        ref_type: type[Ref[Any]] = SupervisorRef if spec.kind == "supervisor" else Ref
        self.ref = self.mailbox.ref = ref_type(self)
        self.count = 0
        self.incarnation: Incarnation | None = None
        self.started_at = 0.0
        self.last_exit: Exit | None = None
        self.monitors: dict[Monitor, None] = {}
        # For the supervisor.
        self.state: ChildState = "stopped"
        self.attempt = 0
        self.ran_for = 0.0
        self.restarts = 0
        self.retry: Timer | None = None
        self.retry_number = 0
        """Which announced retry is the one that counts."""
        self.watched: Incarnation | None = None
        """The incarnation whose end has not been dealt with."""

    def begin(self) -> Incarnation:
        """Start an incarnation; its `ready` tells when it has started, or has not.

        Raises:
            AlreadyStarted: the name it is to be registered under belongs to another.
        """
        name = self.spec.register
        holder = None if name is None else self.system.whereis(name)
        if holder is not None and holder is not self.ref:
            raise AlreadyStarted(holder)
        self.count += 1
        self.mailbox.open = True
        if name is not None:
            self.system.register(name, self.ref)
        self.mailbox.suspended = False
        self.watched = self.incarnation = incarnation = Incarnation(self, self.count)
        self.started_at = trio.current_time()
        # Every incarnation gets the context of whoever started the child, not that of whatever
        # made its supervisor start it again.
        self.context.run(self._spawn, incarnation)
        return incarnation

    def _spawn(self, incarnation: Incarnation) -> None:
        self.system.nursery.start_soon(incarnation.run, name=self.path)

    def ended(self, incarnation: Incarnation, reason: Exit) -> None:
        """Note the end of the incarnation; what it means is the supervisor's to say."""
        self.incarnation = None
        self.last_exit = reason
        self.ran_for = trio.current_time() - self.started_at
        self.on_end(incarnation)

    def settle(self, *, final: bool) -> None:
        """Tell the monitors of an end; after a *final* one, the address is dead."""
        if final:
            self.mailbox.close()
            self.system.forget(self.ref)
        elif self.spec.mailbox == "drop":
            self.mailbox.drop_queued("dropped_on_restart")
            self.mailbox.refill()
        down = Down(self.ref, self.count, self.last_exit, final)
        monitors, self.monitors = self.monitors, {}
        for monitor in monitors:
            monitor.notify(down)

    def change(self, spec: ChildSpec) -> None:
        """Take over *spec*; what is running keeps running."""
        self.spec = spec
        self.mailbox.capacity = spec.capacity
        self.mailbox.overflow = spec.overflow
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
        return Offender(spec.id, self.ref, self.count, spec.restart, spec.shutdown, spec.kind)

    def report_stop_error(self, reason: Exit) -> None:
        """Tell that the stop went wrong."""
        supervisor = "" if self.parent is None else self.parent.path
        self.system.emit(ShutdownError(supervisor, self.offender(), reason))

    def poison(self) -> None:
        """Have the incarnation stop that comes to the end of what is queued now."""
        self.mailbox.put_note(POISON)
