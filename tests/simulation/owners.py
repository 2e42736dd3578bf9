"""The owners of the projects: they begin and end them, and change who works in them, and how."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import attrs
import trio

from mission_control.storage import MissionError

from .briefs import UNUSABLE, Briefs, persona
from .people import People
from .turns import SOULS

NAMES = ("p", "q", "r")
MOST = 2
"""Projects at once."""

CHANGES = {"demolish": 3, "begin": 2, "upgrade": 3, "template": 2, "rename": 1, "back_up": 2}
"""What they do, and how often."""
TEMPLATES = ("Go on with {task_id} of {project_id}.", UNUSABLE, None)


@attrs.define
class Owners:
    """They work beside the people, and as these are do."""

    chance: random.Random
    people: People
    briefs: Callable[[], Briefs]
    back_up: Callable[[], None]
    every_s: float
    """Between two changes, on average."""
    _versions: int = 0

    async def found(self) -> None:
        """Begin the first projects."""
        for name in NAMES[:MOST]:
            await self._found(name)

    async def work(self) -> None:
        """Change one thing after the other, for ever."""
        while True:
            await trio.sleep(self.chance.expovariate(1 / self.every_s))
            change = self.chance.choices([*CHANGES], [*CHANGES.values()])[0]
            await getattr(self, f"_{change}")()

    async def _found(self, name: str) -> None:
        base = self.chance.choice([None, *self.people.projects])
        with suppress(MissionError):  # the base is being deleted
            begun = await self.people.insist(
                "mission.project.init", project_name=name, base_id=base
            )
            self.people.projects.append(begun["project_id"])
            for soul in SOULS:
                with suppress(MissionError):  # it came with the base
                    await self.people.insist(
                        "mission.agent.create", soul=soul, project_id=begun["project_id"]
                    )

    async def _begin(self) -> None:
        free = [name for name in NAMES if name not in self.people.projects]
        if len(self.people.projects) < MOST:
            await self._found(self.chance.choice(free))

    async def _demolish(self) -> None:
        project, purge = self.people.a_project(), self.chance.random() < 0.5
        delete = self.chance.choice([self.people.insist, self.people.try_])
        self.people.write_off(project)
        with suppress(MissionError):
            await delete("mission.project.delete", project_id=project, purge=purge)
        self.people.write_off(project)
        await self.people.look_around()
        await self._begin()

    async def _upgrade(self) -> None:
        self._versions += 1
        agent_id, version = self.people.an_agent(), self._versions
        soul, briefs = agent_id.partition(":")[0], self.briefs()
        text, refinement = persona(soul, version), self.chance.random() < 0.2
        done = await self.people.try_(
            "mission.agent.upgrade", instance_id=agent_id, soul_text=text, refinement=refinement
        )
        if done and not refinement:
            briefs.installed[soul] = version

    async def _template(self) -> None:
        project = self.chance.choice([None, self.people.a_project()])
        template = self.chance.choice(TEMPLATES)
        await self.people.try_("mission.pulse.set_template", project_id=project, template=template)

    async def _rename(self) -> None:
        project = self.people.a_project()
        await self.people.try_("mission.project.rename", project_id=project, project_name="new")

    async def _back_up(self) -> None:
        self.back_up()
