"""A simulated Gateway: runs turns in sessions, on a host that goes on when the sidecar dies."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import attrs
import trio

from mission_control.actors import Life, Outcome, OutcomeKind, PulseOrder
from mission_control.storage import Fence

Turn: TypeAlias = Callable[["Run"], Awaitable[Outcome]]
"""What an agent does in a run."""

LOST = Outcome(OutcomeKind.LOST, "the simulated host was started again")


@attrs.define(eq=False)
class Run:
    """One turn, from its beginning to its end; nobody else's death ends it."""

    order: PulseOrder
    boot: int
    life: Life
    """Who is told of signs, if anybody listens."""
    outcome: Outcome | None = None
    ended: trio.Event = attrs.field(factory=trio.Event)
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    fence: Fence | None = None
    """With which it writes; what it writes after its end must be refused."""

    @property
    def active(self) -> bool:
        """Whether it may still act."""
        return self.outcome is None

    def end(self, outcome: Outcome) -> None:
        """Stop acting; the first end counts."""
        if self.outcome is None:
            self.outcome = outcome
            self.scope.cancel()
            self.ended.set()


@attrs.define
class Host:
    """What there is in the Gateway, whoever asks."""

    nursery: trio.Nursery
    turn: Turn
    chance: random.Random
    fail: Callable[[str], None]
    """Told of what must never happen."""
    note: Callable[[str], None]
    brief: Callable[[PulseOrder], None]
    """Looks at what a run is told."""
    most: int
    """Runs at once, in all and per project."""
    most_per_project: int
    away: str | None = None
    boot: int = 1
    runs: dict[str, Run] = attrs.field(factory=dict)
    """By pulse; none is ever forgotten."""
    sessions: dict[str, str] = attrs.field(factory=dict)
    back: trio.Event = attrs.field(factory=trio.Event)

    @property
    def active(self) -> list[Run]:
        """The runs that go on."""
        return [run for run in self.runs.values() if run.active]

    def begin(self, order: PulseOrder, life: Life) -> Run:
        """Begin a turn.  Here it shows whether one is begun that must not be."""
        if order.pulse_id in self.runs:
            self.fail(f"a turn was run twice: {order.pulse_id}")
        for other in self.active:
            if other.order.agent_id == order.agent_id:
                self.fail(f"two attempts of {order.agent_id} at once")
            if order.kind == other.order.kind == "work" and order.task_id == other.order.task_id:
                self.fail(f"two attempts at task {order.task_id} at once")
        self._count(order.project_id)
        self.brief(order)
        run = Run(order, self.boot, life)
        self.runs[order.pulse_id] = run
        self.note(f"run {order.kind} of {order.agent_id} begins, attempt {order.attempt}")
        self.nursery.start_soon(self._live, run)
        return run

    def _count(self, project_id: str) -> None:
        others = [run.order.project_id for run in self.active]
        if len(others) >= self.most or others.count(project_id) >= self.most_per_project:
            self.fail(f"more pulses run than may run: {len(others)} already")

    def leave(self, why: str) -> None:
        """Be out of reach; what runs goes on."""
        self.away = why
        self.back = trio.Event()

    def come_back(self) -> None:
        """Be there again."""
        self.away = None
        self.back.set()

    def start_again(self) -> None:
        """Lose what ran, and every other session."""
        self.boot += 1
        for run in self.active:
            run.end(LOST)
        for key in sorted(self.sessions):
            if self.chance.random() < 0.5:
                del self.sessions[key]

    def open_session(self, key: str) -> str:
        """Return the life of a session, begun now if there was none."""
        if key not in self.sessions:
            self.sessions[key] = f"life {self.boot}.{len(self.sessions)}.{len(self.runs)}"
        return self.sessions[key]

    async def _live(self, run: Run) -> None:
        outcome = Outcome(OutcomeKind.ABORTED, "stopped")
        with run.scope:
            outcome = await self.turn(run)
        run.end(outcome)
        assert run.outcome is not None
        self.note(f"run {run.order.kind} of {run.order.agent_id} is over: {run.outcome.kind.value}")
