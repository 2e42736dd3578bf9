"""Where supervisors are watched: probes that do as they are told and write a journal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeAlias, TypeVar

import attrs
import trio
from trio.testing import wait_all_tasks_blocked

from mission_control.supervisor import (
    IGNORE,
    Actor,
    AutoShutdown,
    ChildSpec,
    Context,
    Down,
    DynamicSupervisor,
    Event,
    Exit,
    Intensity,
    Normal,
    Ref,
    Restart,
    Strategy,
    Supervisor,
    SupervisorRef,
    SupervisorSpec,
    System,
    open_system,
)

E = TypeVar("E")
F = TypeVar("F", bound=Callable[..., object])
Lane: TypeAlias = Literal["own", "shared"]

TWO_IN_AN_HOUR = Intensity(2, period=3600)

settle = wait_all_tasks_blocked


class Boom(Exception):
    """What probes crash with."""


@attrs.frozen
class Finish:
    """End as *reason*."""

    reason: Exit = attrs.field(factory=Normal)


@attrs.frozen
class CrashNow:
    """Raise Boom."""


@attrs.frozen
class Work:
    """Be busy for *seconds*."""

    seconds: float


@attrs.frozen
class Say:
    """Answer with the probe's arguments and *word*."""

    word: Any = None


@attrs.define
class Knobs:
    """How the starts and the stop of one probe go."""

    fail_next: float = 0
    ignore_next: bool = False
    junk_next: bool = False
    start_takes: float = 0.0
    stop_takes: float = 0.0
    stop_fails: bool = False
    deaf: bool = False
    """Does not react to being stopped, only to being killed."""


@attrs.define
class Stage:
    """Journal, events and knobs of one test."""

    journal: list[str] = attrs.field(factory=list)
    events: list[Event] = attrs.field(factory=list)
    knobs: dict[str, Knobs] = attrs.field(factory=dict)
    received: list[Any] = attrs.field(factory=list)
    lane: Lane = "own"
    """Of the probes, of their supervisor, and of what is specified by :meth:`child`."""

    def knob(self, child_id: str, **changes: Any) -> None:
        """Set knobs of the probe *child_id*."""
        self.knobs[child_id] = attrs.evolve(self.knobs.get(child_id, Knobs()), **changes)

    def take_journal(self) -> list[str]:
        """Return the journal, and begin a new one."""
        taken = self.journal[:]
        self.journal.clear()
        return taken

    def of_kind(self, kind: type[E]) -> list[E]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def probe(self, child_id: str, *args: Any, **fields: Any) -> ChildSpec:
        """Specify a probe; one that has a second to stop, if nothing else is said."""
        fields.setdefault("shutdown", 1.0)
        fields.setdefault("lane", self.lane)
        kind = PlainProbe if fields["lane"] == "shared" else Probe
        return ChildSpec(child_id, kind, args=(self, child_id, *args), **fields)

    def child(self, child_id: str, start: Any, **fields: Any) -> ChildSpec:
        """Specify an actor, whose `receive` is a plain function, on the lane of this stage."""
        return ChildSpec(child_id, start, lane=self.lane, **fields)

    @asynccontextmanager
    async def system(self, **options: Any) -> AsyncIterator[System]:
        """Open a system that reports its events here."""
        options.setdefault("on_event", self.events.append)
        async with open_system("top", **options) as system:
            yield system

    @asynccontextmanager
    async def watch(self, spec: SupervisorSpec) -> AsyncIterator[Family]:
        """Run one supervisor, whose end is only watched."""
        async with self.system() as system:
            ref = await system.root.start_child(attrs.evolve(spec, restart=Restart.TEMPORARY))
            async with ref.monitor() as down:
                yield Family(self, system, ref, down)

    def static(
        self,
        *ids: str | ChildSpec,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: Intensity = TWO_IN_AN_HOUR,
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
        **fields: Any,
    ) -> SupervisorSpec:
        """Specify the supervisor `sup` of permanent probes, or of what is given."""
        fields.setdefault("lane", self.lane)
        specs = [self.probe(each) if isinstance(each, str) else each for each in ids]
        return Supervisor.spec(
            "sup",
            specs,
            strategy=strategy,
            intensity=intensity,
            auto_shutdown=auto_shutdown,
            **fields,
        )

    def dynamic(self, intensity: Intensity = TWO_IN_AN_HOUR, **fields: Any) -> Any:
        """Specify the dynamic supervisor `sup` whose template is a probe named `p`."""
        options = {
            name: fields.pop(name) for name in ("auto_shutdown", "register") if name in fields
        }
        template = self.probe("p", **fields)
        return DynamicSupervisor.spec(
            "sup", template=template, intensity=intensity, lane=self.lane, **options
        )


@attrs.frozen
class Family:
    """A supervisor that is being watched."""

    stage: Stage
    system: System
    ref: SupervisorRef
    down: Any

    async def kids(self) -> list[tuple[str, str]]:
        """Return ids and states, newest first."""
        return [(child.id, child.state) for child in await self.ref.children()]

    async def counts(self) -> tuple[int, int, int, int]:
        """Return the counts of specs, active children, supervisors and workers."""
        counts = await self.ref.count_children()
        return attrs.astuple(counts)

    async def child(self, child_id: str) -> Ref[Any]:
        """Return a child's ref."""
        return next(child.ref for child in await self.ref.children() if child.id == child_id)

    async def tell(self, child_id: str, message: Any) -> None:
        """Tell a child, and wait until all is quiet again."""
        (await self.child(child_id)).tell(message)
        await settle()

    async def crash(self, *ids: str) -> None:
        """Crash children one after the other, each time until all is quiet."""
        for child_id in ids:
            await self.tell(child_id, CrashNow())

    async def ended(self) -> Exit | None:
        """Return how the supervisor ended."""
        down: Down = await self.down.wait()
        return down.exit


class Probe(Actor[Any]):
    """Does as it is told, and writes about it."""

    ctx: Context[Any]

    def __init__(self, stage: Stage, child_id: str, *args: Any) -> None:
        self._stage = stage
        self._id = child_id
        self._args = args

    @property
    def _knobs(self) -> Knobs:
        return self._stage.knobs.setdefault(self._id, Knobs())

    def _note(self, what: str) -> None:
        self._stage.journal.append(f"{what} {self._id}")

    async def started(self) -> object:
        knobs = self._knobs
        if knobs.start_takes:
            await trio.sleep(knobs.start_takes)
        if knobs.fail_next > 0:
            knobs.fail_next -= 1
            self._note("fail")
            raise Boom(self._id)
        if knobs.junk_next:
            return "junk"
        if knobs.ignore_next:
            knobs.ignore_next = False
            self._note("ignore")
            return IGNORE
        self._note("start")
        if knobs.deaf:
            self.ctx.start_soon(self._cling)
        return None

    async def receive(self, msg: Any) -> Any:
        if not isinstance(msg, Work):
            return self._do(msg)
        await trio.sleep(msg.seconds)
        self._note("worked")
        return None

    def _do(self, msg: Any) -> Any:
        match msg:
            case Finish(reason):
                self.ctx.stop(reason)
            case CrashNow():
                raise Boom(self._id)
            case Say(word):
                return (*self._args, word)
            case _:
                self._stage.received.append(msg)
        return None

    async def stopped(self, reason: Exit) -> None:
        self._note("stop")
        if self._knobs.stop_takes:
            await trio.sleep(self._knobs.stop_takes)
        if self._knobs.stop_fails:
            raise Boom("in the stop hook")
        if self._knobs.deaf:
            await trio.sleep_forever()

    async def _cling(self) -> None:
        await trio.sleep_forever()


class PlainProbe(Probe):
    """A probe that needs no task: it knows no Work."""

    def receive(self, msg: Any) -> Any:
        assert not isinstance(msg, Work), "mark the test with own_lane"
        return self._do(msg)


def own_lane(reason: str) -> Callable[[F], F]:
    """Run a test on one lane only, for the *reason* given."""
    assert reason

    def mark(test: F) -> F:
        test.__dict__["lanes"] = ["own"]
        return test

    return mark
