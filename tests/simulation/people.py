"""The people who steer: they make, move and give away tasks, pause, answer, change their minds."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import trio

from mission_control.storage import Deadline, MissionError, TaskStatus, Unavailable

from .turns import SOULS

DEEDS = {
    "create": 12, "message": 2, "pause": 2, "resume": 3, "trigger": 1, "kill": 1, "move": 2,
    "assign": 2, "delete": 1, "prioritise": 1, "depend": 2, "answer": 8, "dismiss": 1, "hire": 2,
    "archive": 1, "restore": 3, "restart_session": 1, "budget": 3, "hand_off": 1,
}  # fmt: skip
"""What they do, and how often."""


@attrs.define
class People:
    """They call a sidecar that may be away, and what they do not hear of they ask for again."""

    chance: random.Random
    call: Callable[..., Awaitable[Any]]
    note: Callable[[str], None]
    every_s: float
    """Between two deeds, on average."""
    projects: list[str] = attrs.field(factory=list)
    """As far as they know."""
    made: set[str] = attrs.field(factory=set)
    """Titles of tasks that were acknowledged."""
    deleted: set[str] = attrs.field(factory=set)
    """Titles of tasks that they wanted gone."""
    _limited: set[str | None] = attrs.field(factory=set)
    """Projects that they have set a budget for; None stands for all together."""
    _deeds: int = 0
    _places: dict[str, str] = attrs.field(factory=dict)
    """By title of a task: in which project it was, or was to be, made."""

    async def work(self) -> None:
        """Give everybody something to do; then do one thing after the other, for ever."""
        for _ in range(len(self.projects) * len(SOULS)):
            await self._create()
        while True:
            await trio.sleep(self.chance.expovariate(1 / self.every_s))
            deed = self.chance.choices([*DEEDS], [*DEEDS.values()])[0]
            await getattr(self, f"_{deed}")()

    async def calm_down(self) -> None:
        """Leave nothing that only people can bring forward."""
        await self._lift()
        await self.look_around()
        for project in self.projects:
            await self.try_("mission.project.restore", project_id=project)
            for soul in SOULS:
                agent_id = f"{soul}:{project}"
                await self.try_("mission.agent.create", instance_id=agent_id)
                agent = await self.try_("mission.agent.get_state", instance_id=agent_id)
                if agent and agent["agent"]["status"] in ("paused", "failed"):
                    await self.try_("mission.agent.resume", instance_id=agent_id)
        for task in await self._tasks():
            if task["assignee"] is None:
                soul = self.chance.choice(SOULS)
                await self.try_("mission.task.assign", task_id=task["id"], assignee_id=soul)
            if task["status"] == TaskStatus.BLOCKED and not await self._asked(task["id"]):
                await self.try_("mission.task.move", task_id=task["id"], new_status="backlog")
        for request in await self._questions():
            await self.try_("mission.help.answer", help_id=request["id"], answer="So.")

    async def look_around(self) -> None:
        """Find out which projects there are; what is being deleted is none any more."""
        if listed := await self.try_("mission.project.list"):
            found = listed["projects"]
            self.projects = [each["id"] for each in found if each["deleting"] is None]

    def remember(self, titles: set[str]) -> None:
        """Count on these tasks only: everything is as it was once."""
        self.made = titles

    def write_off(self, project: str) -> None:
        """Count on no task of a project that is to be deleted."""
        self.deleted |= {title for title, place in self._places.items() if place == project}

    def a_project(self) -> str:
        """Return one of the projects, or where there is none the name of one that was."""
        return self.chance.choice(self.projects or ["p"])

    def an_agent(self) -> str:
        """Return what may be the id of an agent."""
        return f"{self.chance.choice(SOULS)}:{self.a_project()}"

    async def _lift(self) -> None:
        """Take all budgets away."""
        for project in sorted(self._limited, key=str):
            if await self.try_("mission.project.budget", project_id=project, lift=True):
                self._limited.discard(project)

    async def insist(self, method: str, **params: Any) -> Any:
        """Call until it is known what came of it."""
        self._deeds += 1
        key = f"deed {self._deeds}"
        while True:
            try:
                return await self.call(method, idempotency_key=key, **params)
            except (Unavailable, Deadline):
                await trio.sleep(self.chance.uniform(1.0, 60.0))

    async def try_(self, method: str, **params: Any) -> Any:
        """Call; None where that was refused, or nobody was there."""
        self.note(f"people: {method} {params}")
        try:
            return await self.call(method, **params)
        except MissionError as refusal:
            self.note(f"people were refused: {refusal.message}")
            return None

    async def _tasks(self, project: str | None = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for each in [*self.projects] if project is None else [project]:
            page = await self.try_("mission.task.list", project_id=each, open_only=True)
            found += page["tasks"] if page else []
        return found

    async def _questions(self) -> list[dict[str, Any]]:
        page = await self.try_("mission.help.list")
        return page["help_requests"] if page else []

    async def _asked(self, task_id: str) -> bool:
        return any(request["task_id"] == task_id for request in await self._questions())

    async def _a_task(self) -> dict[str, Any] | None:
        tasks = await self._tasks()
        return self.chance.choice(tasks) if tasks else None

    async def _create(self) -> None:
        soul = self.chance.choice([*SOULS, *SOULS, None])
        project, title = self.a_project(), f"task {self._deeds}"
        self._places[title] = project
        others = [task["id"] for task in await self._tasks(project)]
        waits = self.chance.sample(others, min(len(others), self.chance.choice([0, 0, 0, 1, 2])))
        try:
            await self.insist(
                "mission.task.create",
                project_id=project,
                title=title,
                assignee_id=soul,
                priority=self.chance.randrange(1, 6),
                depends_on=waits,
            )
        except MissionError:
            return
        self.made.add(title)

    async def _message(self) -> None:
        await self.try_("mission.agent.message", instance_id=self.an_agent(), text="hello")

    async def _pause(self) -> None:
        await self.try_("mission.agent.pause", instance_id=self.an_agent())

    async def _resume(self) -> None:
        await self.try_("mission.agent.resume", instance_id=self.an_agent())

    async def _trigger(self) -> None:
        await self.try_("mission.agent.trigger", instance_id=self.an_agent())

    async def _kill(self) -> None:
        await self.try_("mission.agent.kill", instance_id=self.an_agent())

    async def _dismiss(self) -> None:
        await self.try_("mission.agent.destroy", instance_id=self.an_agent())

    async def _hire(self) -> None:
        await self.try_("mission.agent.create", instance_id=self.an_agent())

    async def _archive(self) -> None:
        await self.try_("mission.project.archive", project_id=self.a_project())

    async def _restore(self) -> None:
        for project in [*self.projects]:
            await self.try_("mission.project.restore", project_id=project)

    async def _restart_session(self) -> None:
        await self.try_("mission.session.restart", instance_id=self.an_agent())

    async def _move(self) -> None:
        if task := await self._a_task():
            to = self.chance.choice(["backlog", "in_progress", "blocked", "done"])
            await self.try_("mission.task.move", task_id=task["id"], new_status=to)

    async def _assign(self) -> None:
        if task := await self._a_task():
            soul = self.chance.choice([*SOULS, None])
            await self.try_("mission.task.assign", task_id=task["id"], assignee_id=soul)

    async def _hand_off(self) -> None:
        if task := await self._a_task():
            to = self.chance.choice(SOULS)
            note = f"from people, with thanks to @{self.chance.choice(SOULS)}"
            await self.try_("mission.task.hand_off", task_id=task["id"], to=to, note=note)

    async def _delete(self) -> None:
        if task := await self._a_task():
            self.deleted.add(task["title"])
            await self.try_("mission.task.delete", task_id=task["id"])

    async def _prioritise(self) -> None:
        if task := await self._a_task():
            priority = self.chance.randrange(1, 6)
            await self.try_("mission.task.update", task_id=task["id"], priority=priority)

    async def _depend(self) -> None:
        task, other = await self._a_task(), await self._a_task()
        if task and other:
            on = [other["id"]]
            await self.try_("mission.task.update", task_id=task["id"], depends_on=on)

    async def _budget(self) -> None:
        project = self.chance.choice([None, self.a_project()])
        self._limited.add(project)
        limits: list[dict[str, Any]] = [
            {"tokens_per_day": self.chance.randrange(0, 300)},
            {"cost_usd_per_day": self.chance.uniform(0.0, 0.3)},
            {"lift": True},
        ]
        await self.try_("mission.project.budget", project_id=project, **self.chance.choice(limits))

    async def _answer(self) -> None:
        for request in await self._questions():
            if self.chance.random() < 0.7:
                await self.try_("mission.help.answer", help_id=request["id"], answer="So.")
