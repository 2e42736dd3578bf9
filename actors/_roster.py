"""The roster of a project: runs an agent for every row, and wakes whom a change concerns."""

from __future__ import annotations

import json
import logging
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeAlias

import attrs
import trio

from ..storage import Change, MissionError, PulseState, Reads, TaskStatus
from ..storage.commands import DestroyAgent
from ..supervisor import (
    Actor,
    Backoff,
    ChildSpec,
    Context,
    Deferred,
    DynamicSupervisor,
    Intensity,
    StartFailed,
    Strategy,
    Supervisor,
)
from ._board import Board, Touched
from ._budget import lets_go_on
from ._commit import board_name
from ._departures import Departures
from ._files import ProjectFiles, files_name
from ._mission import Mission
from ._pulse import Kill, PulseActor, Wake, pulse_name
from ._session import SessionActor, session_name

log = logging.getLogger("mission_control.roster")


def roster_name(project_id: str) -> str:
    """Under which a project's roster is registered."""
    return f"roster/{project_id}"


def agents_name(project_id: str) -> str:
    """Under which the supervisor of a project's agents is registered."""
    return f"agents/{project_id}"


@attrs.frozen
class Changed:
    """These changes of the project were committed."""

    changes: tuple[Change, ...]


@attrs.frozen
class Reconcile:
    """Compare the agents that run with the rows, and wake who has work: the tick's safety net.

    Answered when that is done.
    """


@attrs.frozen
class Present:
    """Answered when what it was told before is done; at first, when all have been started."""


@attrs.frozen
class Dismiss:
    """Take an agent out of the project: its run is ended before its row goes.

    Answered with the agent as it was.
    """

    agent_id: str
    by: str
    key: str | None


@attrs.frozen
class NewDay:
    """What budgets forbade yesterday may be begun."""


Message: TypeAlias = Changed | Reconcile | Present | Dismiss | NewDay


class Roster(Actor[Message]):
    """Starts and stops the agents of one project."""

    ctx: Context[Message]

    def __init__(self, mission: Mission, project_id: str) -> None:
        self._mission = mission
        self._project_id = project_id
        self._departures = Departures(mission, agents_name(project_id))
        self._repairing = trio.Lock()

    async def started(self) -> None:
        """Begin with an agent for every row.

        Not here: until this returns our supervisor starts nobody else, and the one of the agents
        may be among those that it has to start again.
        """
        self.ctx.self.tell(Reconcile())
        self.ctx.start_soon(self._take_over)

    async def receive(self, message: Message) -> None:
        """Follow the log; what has to end does so beside this."""
        match message:
            case Dismiss():
                self.ctx.start_soon(self._dismiss, message, self.ctx.defer())
            case Changed(changes):
                self._mission.tell(board_name(self._project_id), Touched())
                if any(self._moved(change) for change in changes):
                    await self._reconcile()
                self._recall(changes)
                self._wake(_concerned(changes, self._mission.reads))
            case Reconcile():
                self._mission.templates.of(self._project_id)  # what is wrong with it is told
                self._mission.tell(board_name(self._project_id), Touched(check=True))
                await self._reconcile()
                self._wake(None)
            case NewDay():
                self._wake(None)
            case Present():
                pass

    async def _take_over(self) -> None:
        """Start whom a roster before this has stopped, and whose row it could not take away."""
        agents: Any = self._mission.find(agents_name(self._project_id))
        before = [child.id for child in await agents.children()]
        await self._departures.await_others(before)
        if before:
            await self._reconcile()

    async def _dismiss(self, dismiss: Dismiss, asker: Deferred) -> None:
        destroy, commit = DestroyAgent(dismiss.agent_id), self._mission.commit
        try:
            answered = self._mission.was_answered(DestroyAgent, dismiss.key)
            async with nullcontext() if answered else self._departures.of(dismiss.agent_id):
                gone = await commit(self._project_id, destroy, by=dismiss.by, key=dismiss.key)
            answer = partial(asker.answer, gone)
        except MissionError as refusal:
            answer = partial(asker.fail, refusal)
        await self._reconcile()  # it was refused, or there is another of that name already
        answer()

    async def _end(self, agent_id: str) -> None:
        async with self._departures.of(agent_id):
            pass
        await self._reconcile()  # it may be wanted again

    def _recall(self, changes: tuple[Change, ...]) -> None:
        """End attempts at tasks that were deleted, or given to somebody else, in mid-run."""
        for change in changes:
            if change.entity != "tasks":
                continue
            pulse = self._mission.reads.open_pulse_of_task(change.entity_id)
            task = self._mission.reads.find_task(change.entity_id)
            if pulse is None or (task and f"{task.assignee}:{task.project_id}" == pulse.agent_id):
                continue
            if change.actor == pulse.agent_id:
                continue  # it hands the task off itself, and is about to end
            why = "the task was given to somebody else" if task else "the task was deleted"
            self._mission.tell(pulse_name(pulse.agent_id), Kill(why))

    async def _reconcile(self) -> None:
        async with self._repairing:
            agents: Any = self._mission.find(agents_name(self._project_id))
            wanted = self._mission.reads.agent_ids(self._project_id)
            running = {child.id for child in await agents.children()}
            for agent_id in sorted(running - wanted):
                if agent_id not in self._departures:
                    self.ctx.start_soon(self._end, agent_id)
            for agent_id in sorted(wanted - running):
                # Asked right before each start: it may be on its way out since.
                if agent_id not in self._departures:
                    await self._start(agents, agent_id)

    async def _start(self, agents: Any, agent_id: str) -> None:
        try:
            await agents.start_child(agent_spec(self._mission, agent_id))
        except StartFailed as failure:
            log.warning("agent %s cannot be started, the tick tries again: %s", agent_id, failure)

    def _moved(self, change: Change) -> bool:
        """Whether an agent has come or gone."""
        if change.entity != "agents":
            return False
        here = self._mission.system.whereis(pulse_name(change.entity_id)) is not None
        return here is (change.after is None)

    def _wake(self, souls: set[str] | None) -> None:
        """Wake the agents with these souls, or all that have something to do now."""
        mission = self._mission
        if souls is None:
            woken = mission.reads.agents_to_wake(self._project_id, mission.clock.now_us())
        else:
            woken = [f"{soul}:{self._project_id}" for soul in souls]
        for agent_id in woken:
            mission.tell(pulse_name(agent_id), Wake())


async def roster_changed(mission: Mission, project_id: str) -> None:
    """Return when the agents that run are those that the rows name."""
    if mission.system.whereis(roster_name(project_id)) is not None:  # none in an archived project
        await mission.ask(roster_name(project_id), Reconcile())


def _concerned(changes: tuple[Change, ...], reads: Reads) -> set[str] | None:
    """Return the souls that these changes may give something to do; None for all of them."""
    souls: set[str] = set()
    for change in changes:
        after = json.loads(change.after) if change.after is not None else {}
        match change.entity:
            case "tasks" if after:
                souls.add(str(after["assignee"]))
                if after["status"] in (TaskStatus.DONE, TaskStatus.ARCHIVED):
                    souls |= reads.souls_waiting_for(change.entity_id)
            case "task_dependencies" if not after:
                souls |= _assignee(reads, change.entity_id.partition("/")[0])
            case "tasks" | "projects":
                return None
            case "budgets" if lets_go_on(change):
                return None
            case "agents" if after:
                souls.add(str(after["soul"]))
            case "pulses" if after.get("state") == PulseState.ENDED.value:
                souls |= _assignee(reads, after["task_id"])  # it may have waited for this end
            case "messages" if after:
                souls.add(str(after["to_agent"]).partition(":")[0])
            case _:
                pass
    return souls


def _assignee(reads: Reads, task_id: str | None) -> set[str]:
    task = reads.find_task(task_id)
    return {task.assignee} if task and task.assignee else set()


_INTENSITY, _BACKOFF = Intensity(5, period=60.0), Backoff(1.0, 60.0)
_AGENT = (
    ChildSpec(
        "session",
        SessionActor,
        register=lambda _, agent_id: session_name(agent_id),
        lane="shared",
    ),
    ChildSpec(
        "pulse",
        PulseActor,
        shutdown=30.0,  # a run is given its grace time, and the row is closed
        register=lambda _, agent_id: pulse_name(agent_id),
        overflow="drop_new",  # wakes are hints, and one is as good as many
        lane="shared",
    ),
)
"""One of each for all agents, of whom there may be ten thousand."""


def agent_spec(mission: Mission, agent_id: str) -> ChildSpec:
    """An agent: its session, and the pulse that runs in it and is restarted with it.

    An agent that crashes again and again is started ever more slowly, and never disturbs another.
    """
    return Supervisor.spec(
        agent_id,
        _AGENT,
        args=(mission, agent_id),
        strategy=Strategy.REST_FOR_ONE,
        intensity=_INTENSITY,
        backoff=_BACKOFF,
        lane="shared",
    )


def project_spec(mission: Mission, project_id: str) -> ChildSpec:
    """A project: its board, its files, its agents, and the roster that has started them."""
    children = [
        ChildSpec(
            "board",
            Board,
            args=(mission, project_id),
            register=board_name(project_id),
            overflow="drop_new",  # what it is told are hints; commits wait for room
        ),
        ChildSpec(
            "files",
            ProjectFiles,
            args=(mission, project_id),
            register=files_name(project_id),
            shutdown=30.0,  # what has begun to touch the disk is finished
            lane="shared",
        ),
        DynamicSupervisor.spec(
            "agents", intensity=Intensity(100, period=60.0), register=agents_name(project_id)
        ),
        ChildSpec(
            "roster",
            Roster,
            args=(mission, project_id),
            register=roster_name(project_id),
            overflow="drop_old",
        ),
    ]
    return Supervisor.spec(
        project_id,
        children,
        strategy=Strategy.REST_FOR_ONE,
        intensity=Intensity(5, period=60.0),
        backoff=Backoff(1.0, 60.0),
    )
