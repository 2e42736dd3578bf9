"""One life of a sidecar: the real mission on a simulated machine, from its start to its end."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

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
from mission_control.supervisor import Event, Intensity, System, open_system

from .host import Host
from .machine import Machine
from .runner import SimulatedRunner

BEGINNING_US = 1_767_225_600 * US  # 2026-01-01


class VirtualTime:
    """The time of day, by the virtual clock."""

    def now_us(self) -> int:
        """Microseconds since the Unix epoch."""
        return BEGINNING_US + round(trio.current_time() * US)


@attrs.define(eq=False)
class Life:
    """A sidecar that runs, and how it is ended."""

    mission: Mission
    machine: Machine
    scope: trio.CancelScope
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
    home, clock = terms.home, VirtualTime()
    with contextlib.closing(Reads(home.database)) as reads, Projects(home.projects) as projects:
        async with open_system(
            "sidecar",
            intensity=Intensity(10, period=60.0),
            grace=0.0,
            on_event=terms.on_event,
            rng=terms.rng,
        ) as system:
            mission = Mission(
                system=system,
                home=home,
                store=Store(system, clock, terms.rng),
                reads=reads,
                clock=clock,
                runner=SimulatedRunner(terms.host, machine),
                tokens=AgentTokens(),
                settings=terms.settings,
                principals=Principals(home.principals, OperatorToken(home.token)),
                files=Files(projects),
            )
            await grow(mission, mission_specs(mission, upkeep=MaintenanceSettings(enabled=False)))
            yield Life(mission, machine, scope)
