"""One life of a sidecar: the real mission on a simulated machine, from its start to its end."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from mission_control.actors import (
    AgentTokens,
    Home,
    MaintenanceSettings,
    Mission,
    OperatorToken,
    Principals,
    PulseSettings,
    grow,
    mission_specs,
)
from mission_control.storage import US, Reads, Store
from mission_control.storage.files import Files, Projects
from mission_control.supervisor import ChildStarted, Event, Intensity, Ref, System, open_system

from .host import Host
from .machine import Machine
from .runner import SimulatedRunner

BEGINNING_US = 1_767_225_600 * US  # 2026-01-01


@attrs.define
class TimeOfDay:
    """What the clock of the machine says; virtual time goes on whatever that is."""

    ahead_s: float = 0.0
    """Of virtual time, where somebody has set it."""

    def now_us(self) -> int:
        """Microseconds since the Unix epoch."""
        return BEGINNING_US + round((trio.current_time() + self.ahead_s) * US)


@attrs.define(eq=False)
class Life:
    """A sidecar that runs, and how it is ended."""

    mission: Mission
    machine: Machine
    scope: trio.CancelScope
    refs: dict[str, Ref[Any]]
    """By path, of everybody who was ever started; the newest of each."""
    over: trio.Event = attrs.field(factory=trio.Event)

    @property
    def system(self) -> System:
        """Its actors."""
        return self.mission.system

    def cut(self) -> None:
        """Take the power away: nothing of it does anything more."""
        self.machine.on = False
        self.scope.cancel()

    def stop(self) -> None:
        """Stop it as a service manager does."""
        self.over.set()


@attrs.frozen
class Terms:
    """What all lives of a world have in common."""

    home: Home
    clock: TimeOfDay
    host: Host
    settings: PulseSettings
    rng: random.Random
    on_event: Callable[[Event], None]


@asynccontextmanager
async def living(terms: Terms, machine: Machine, scope: trio.CancelScope) -> AsyncIterator[Life]:
    """Run a sidecar while the block runs.

    Raises:
        StartFailed: it cannot be started.
        SupervisorGaveUp: it failed too often.
    """
    home, refs = terms.home, dict[str, Ref[Any]]()

    def on_event(event: Event) -> None:
        if isinstance(event, ChildStarted):
            refs[event.offender.ref.path] = event.offender.ref
        terms.on_event(event)

    with contextlib.closing(Reads(home.database)) as reads, Projects(home.projects) as projects:
        async with open_system(
            "sidecar",
            intensity=Intensity(10, period=60.0),
            grace=0.0,
            on_event=on_event,
            rng=terms.rng,
        ) as system:
            mission = Mission(
                system=system,
                home=home,
                store=Store(system, terms.clock, terms.rng),
                reads=reads,
                clock=terms.clock,
                runner=SimulatedRunner(terms.host, machine),
                tokens=AgentTokens(),
                settings=terms.settings,
                principals=Principals(home.principals, OperatorToken(home.token)),
                files=Files(projects),
            )
            await grow(mission, mission_specs(mission, upkeep=MaintenanceSettings(enabled=False)))
            yield Life(mission, machine, scope, refs)
