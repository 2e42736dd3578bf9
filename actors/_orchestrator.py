"""The orchestrator: keeps a supervisor running for every active project, and ticks.

The tick is the safety net, not the motor: it derives what should be running from the database
and repairs what differs.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any, TypeAlias

import attrs
import trio

from ..storage import OURSELVES, US, Change, MissionError, ProjectState, next_day
from ..storage.commands import BeginDeletion, LogEvent, SetProjectState
from ..supervisor import Actor, Context, Deferred, Down, StartFailed, Timer
from ._budget import lets_go_on, warn_of_budget
from ._departures import Departures
from ._liveness import Liveness, Stranded
from ._mission import Mission
from ._pulse import Follows, pulse_name
from ._reason import Reason
from ._roster import Changed, NewDay, Present, Reconcile, project_spec, roster_name
from ._why import why_all

log = logging.getLogger("mission_control.orchestrator")

NAME = "orchestrator"
PROJECTS = "projects"
"""Under which the supervisor of the projects is registered."""

FOLLOWED_WITHIN_S = 5.0
"""Within this time an agent answers that is not stuck: all its work is done beside."""


@attrs.frozen
class Ensure:
    """See that this project runs if it should; answered when it does."""

    project_id: str


@attrs.frozen
class Tick:
    """Look after everything."""


@attrs.frozen
class Begin:
    """Start every active project; told by itself, and before anybody else can."""


@attrs.frozen
class WhoIsStranded:
    """Answered with the tasks that the last tick found nobody to see to."""


@attrs.frozen
class ProjectsDown:
    """The supervisor of the projects ended; its successor has no children yet."""

    down: Down


@attrs.frozen
class Archive:
    """Put a project away: its runs are ended before *command* says that it is.

    Answered with the project.
    """

    command: SetProjectState | BeginDeletion
    by: str
    key: str | None


Message: TypeAlias = (
    Begin | Ensure | Archive | Present | Tick | NewDay | ProjectsDown | WhoIsStranded
)


class Orchestrator(Actor[Message]):
    """Starts and stops projects."""

    ctx: Context[Message]

    def __init__(self, mission: Mission) -> None:
        self._mission = mission
        self._departures = Departures(mission, PROJECTS)
        self._repairing = trio.Lock()
        self._liveness = Liveness()
        self._stranded: tuple[Stranded, ...] = ()
        self._midnight: Timer | None = None
        """One for all agents whose budgets are spent."""

    async def started(self) -> None:
        """Begin with every active project.

        Not here: until this returns our supervisor starts nobody else, so to wait for a sibling
        that is to be started again would be for ever.
        """
        self.ctx.self.tell(Begin())
        self.ctx.start_soon(self._take_over)
        self.ctx.every(self._mission.settings.tick_s, Tick())

    async def receive(self, message: Message) -> tuple[Stranded, ...] | None:
        """Repair what differs; what has to end does so beside this."""
        match message:
            case Archive():
                self.ctx.start_soon(self._archive, message, self.ctx.defer())
            case Ensure(project_id) if project_id in self._departures:
                self.ctx.stash()  # until it is seen what becomes of it
            case Ensure():
                await self._reconcile()
            case Present():
                pass
            case Tick():
                await self._reconcile()
                self._tell_rosters(Reconcile())
                self._await_midnight()  # anew, for the clock may have been set
                await self._look_after_tasks()
            case NewDay():
                self._tell_rosters(message)
                self._await_midnight()
            case WhoIsStranded():
                return self._stranded
            case Begin() | ProjectsDown():
                self._await_midnight()
                await self._reconcile()
                self.ctx.monitor(self._projects, ProjectsDown)
        return None

    def _tell_rosters(self, what: Reconcile | NewDay) -> None:
        for project in self._mission.reads.projects():
            self._mission.tell(roster_name(project.id), what)

    def _await_midnight(self) -> None:
        if self._midnight is not None:
            self._midnight.cancel()
        now = self._mission.clock.now_us()
        self._midnight = self.ctx.after((next_day(now) - now) / US, NewDay())

    async def _look_after_tasks(self) -> None:
        """Find open tasks that nobody sees to, tell of them, and start their agents afresh."""
        mission = self._mission
        try:
            reasons = await why_all(mission)
        except MissionError as failure:
            log.warning("whether every task is seen to cannot be told now: %s", failure)
            return
        orphaned: set[str] = set()
        if mission.runner.away is None:  # else nobody can say what became of them
            orphaned = {id_ for id_, each in reasons.items() if not await self._is_followed(each)}
        self._stranded = self._liveness.look(reasons, orphaned)
        for stranded in self._stranded:
            await self._rescue(stranded)

    async def _is_followed(self, reason: Reason) -> bool:
        """Whether it is about no attempt, or about one that somebody sees to."""
        if reason.pulse_id is None or self._mission.tokens.of_pulse(reason.pulse_id) is not None:
            return True
        # It has no token any more: but its end may be known, and storage refuse to write it.
        follows = Follows(reason.pulse_id)
        try:
            holder = pulse_name(str(reason.agent_id))
            return bool(await self._mission.ask(holder, follows, timeout_s=FOLLOWED_WITHIN_S))
        except MissionError:
            return False

    async def _rescue(self, stranded: Stranded) -> None:
        reason = stranded.reason
        told = f"nobody sees to it although it should go on: {reason.sentence}"
        log.error("task %s: %s; its agent is started afresh", stranded.task_id, told)
        if stranded.news:
            event = LogEvent(stranded.task_id, told, event_type="stranded")
            with suppress(MissionError):  # it is in the log, and in mission.system.health
                await self._mission.store.write(event, by=OURSELVES)
        actor = self._mission.system.whereis(pulse_name(str(reason.agent_id)))
        if actor is not None:
            actor.kill()  # nothing of its runs: what may be open is recovered by the next one

    async def _take_over(self) -> None:
        """Start what an orchestrator before this has stopped, and could not put away."""
        before = [child.id for child in await self._projects.children()]
        await self._departures.await_others(before)
        if before:
            await self._reconcile()

    async def _archive(self, archive: Archive, asker: Deferred) -> None:
        command, store = archive.command, self._mission.store
        try:
            answered = self._mission.was_answered(type(command), archive.key)
            # Another project may have the name by now: its runs are nobody's business here.
            async with nullcontext() if answered else self._departures.of(command.project_id):
                project = await store.write(command, by=archive.by, key=archive.key)
            answer = partial(asker.answer, project)
        except MissionError as refusal:
            answer = partial(asker.fail, refusal)
        await self._repair()  # it was refused, or answered long ago: then it goes on
        answer()

    async def _end(self, project_id: str) -> None:
        async with self._departures.of(project_id):
            pass
        await self._repair()  # it may be wanted again

    async def _repair(self) -> None:
        await self._reconcile()
        self.ctx.unstash_all()

    @property
    def _projects(self) -> Any:
        return self._mission.find(PROJECTS)

    async def _reconcile(self) -> None:
        async with self._repairing:
            wanted = {
                project.id
                for project in self._mission.reads.projects()
                if project.state is ProjectState.ACTIVE
            }
            running = {child.id for child in await self._projects.children()}
            for project_id in sorted(running - wanted):
                if project_id not in self._departures:
                    self.ctx.start_soon(self._end, project_id)
            for project_id in sorted(wanted - running):
                # Asked right before each start: it may be on its way out since.
                if project_id not in self._departures:
                    await self._start(project_id)

    async def _start(self, project_id: str) -> None:
        try:
            await self._projects.start_child(project_spec(self._mission, project_id))
            await self._mission.ask(roster_name(project_id), Present())
        except (StartFailed, MissionError) as failure:
            log.warning(
                "project %s cannot be started, the tick tries again: %s", project_id, failure
            )


def route(mission: Mission, changes: list[Change]) -> None:
    """Tell each project's roster what was committed of it, and all of the home's budget."""
    by_project: dict[str, list[Change]] = {}
    for change in changes:
        if change.project_id is not None:
            by_project.setdefault(change.project_id, []).append(change)
        elif change.entity == "budgets" and lets_go_on(change):
            for project in mission.reads.projects():
                by_project.setdefault(project.id, []).append(change)
        warn_of_budget(change)
    for project_id, theirs in by_project.items():
        mission.tell(roster_name(project_id), Changed(tuple(theirs)))
