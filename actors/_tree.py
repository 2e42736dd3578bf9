"""The supervision tree of the mission (SYSTEM §5): what is started, in which order, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..storage import STORAGE, Change, StorageActor
from ..storage.backups import Backups
from ..supervisor import Backoff, ChildSpec, DynamicSupervisor, Intensity, Strategy, Supervisor
from ._deletion import NAME as DELETIONS
from ._deletion import Deletions
from ._fanout import Fanout
from ._feed import NAME as FEED
from ._feed import Committed, Feed
from ._maintenance import NAME as MAINTENANCE
from ._maintenance import Maintenance, MaintenanceSettings, give_up_when_cancelled
from ._mission import Mission
from ._orchestrator import NAME as ORCHESTRATOR
from ._orchestrator import PROJECTS, Orchestrator, route
from ._roster import Present
from ._slots import NAME as SLOTS
from ._slots import Places, Slots


def core_spec(mission: Mission) -> ChildSpec:
    """Storage, and the feed that is read from it: the feed is restarted with the storage."""

    def on_commit() -> None:
        mission.tell(FEED, Committed())

    def on_changes(changes: list[Change]) -> None:
        route(mission, changes)

    def save() -> None:
        # A migration that fails does so at every start: one backup is enough for all of them.
        backups = Backups(mission.home.path, mission.clock, step=give_up_when_cancelled)
        backups.ensure(reason="before-migration", progress=give_up_when_cancelled)

    storage = ChildSpec(
        STORAGE,
        StorageActor,
        args=(mission.home.database, on_commit, mission.store.condition, save),
        # Those who write together are taken down in one pass of the loop.
        lane="shared",
        shutdown=30.0,  # what was accepted is written
        interrupt=False,
        capacity=1_000,  # further askers wait in line
        register=STORAGE,
        # A disk that fails needs time, not attempts; these never exhaust the intensity below.
        backoff=Backoff(0.1, 5.0, reset_after=60.0),
    )
    feed = ChildSpec(
        FEED,
        Feed,
        args=(Fanout(mission.reads), on_changes),
        register=FEED,
        overflow="drop_old",
    )
    return Supervisor.spec(
        "core",
        [storage, feed],
        strategy=Strategy.REST_FOR_ONE,
        intensity=Intensity(20, period=60.0),
    )


def mission_specs(
    mission: Mission,
    *,
    hosts: Sequence[ChildSpec] = (),
    doors: Sequence[ChildSpec] = (),
    upkeep: MaintenanceSettings | None = None,
) -> list[ChildSpec]:
    """Return the root's children, first to last: *hosts* run pulses, *doors* let callers in.

    They are stopped in reverse: first nobody calls any more, then runs are ended and their rows
    closed, then the link to the Gateway goes, and the storage last.
    """
    settings = mission.settings
    return [
        core_spec(mission),
        ChildSpec(
            SLOTS,
            Slots,
            args=(
                mission.reads,
                Places(),
                settings.max_running,
                settings.max_running_per_project,
            ),
            register=SLOTS,
            capacity=math.inf,  # a release must never be refused
        ),
        *hosts,
        DynamicSupervisor.spec(
            PROJECTS,
            intensity=Intensity(20, period=60.0),
            register=PROJECTS,
        ),
        ChildSpec(ORCHESTRATOR, Orchestrator, args=(mission,), register=ORCHESTRATOR),
        ChildSpec(
            DELETIONS,
            Deletions,
            args=(mission,),
            shutdown=30.0,  # a folder that is being packed is packed to its end
            register=DELETIONS,
        ),
        ChildSpec(
            MAINTENANCE,
            Maintenance,
            args=(mission, upkeep or MaintenanceSettings()),
            register=MAINTENANCE,
        ),
        *doors,
    ]


async def grow(mission: Mission, specs: Sequence[ChildSpec]) -> None:
    """Start the root's children in order; the doors are opened when all projects run.

    Raises:
        StartFailed: one could not be started; its cause says why.
    """
    for spec in specs:
        await mission.system.root.start_child(spec)
        if spec.id == ORCHESTRATOR:
            await mission.ask(ORCHESTRATOR, Present(), timeout_s=None)
