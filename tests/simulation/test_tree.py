"""Actors are killed at moments that hypothesis chooses, while a crew works: see docs/tree.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from mission_control.supervisor import Ref

from .climate import Climate
from .faults import running
from .owners import MOST
from .places import new_folder
from .turns import SOULS
from .world import World

pytestmark = pytest.mark.slow

NOTHING_ELSE = Climate(deeds_s=1e9, faults_s=1e9)

HEALED_S = 90.0
"""In so many seconds everything that was killed runs again: back-offs begin at one second."""

IN_ORDER = (("storage", "feed"), ("board", "files", "agents", "roster"), ("session", "pulse"))
"""The children of supervisors that are `rest_for_one`."""


@attrs.frozen
class Killing:
    """Kill an actor after so many seconds of work."""

    after_s: float
    whom: int | str
    """Its place in the tree, or its path there."""


killings = st.builds(Killing, after_s=st.floats(0.0, 120.0), whom=st.integers(0, 60))


class Crew(World):
    """A world in which everybody works, and some are killed."""

    def __init__(self, folder: Path, killings: Sequence[Killing]) -> None:
        super().__init__(0, folder, NOTHING_ELSE)
        self.killings = killings
        self.victims: list[str] = []
        self.begun_again: set[str] = set()
        """Paths of those who were started again, after one was killed."""

    async def _pass(self) -> None:
        self.agents.calm = True
        await self.owners.found()
        for project in self.people.projects:
            for soul in SOULS:
                for number in (1, 2):
                    title = f"{soul} {number}"
                    await self.people.insist(
                        "mission.task.create", project_id=project, title=title, assignee_id=soul
                    )
        await self._kill()
        await trio.sleep(HEALED_S)
        self.begun_again = self._changed()
        self.all_run = self._incarnations().keys() == self._before.keys()
        await self._settle()

    async def _kill(self) -> None:
        for killing in self.killings:
            await trio.sleep(killing.after_s)
            assert self.life is not None
            self._before = self._incarnations()
            living = {ref.path: ref for ref, _ in running(self.life)}
            match killing.whom:
                case int(place):
                    path = list(living)[place % len(living)]
                case path:
                    pass
            self.victims.append(path)
            living[path].kill()

    def _incarnations(self) -> dict[str, tuple[Ref[object], int]]:
        assert self.life is not None, "a sidecar whose actors are killed seldom goes on"
        return {ref.path: (ref, ref.incarnation) for ref, _ in running(self.life)}

    def _changed(self) -> set[str]:
        now = self._incarnations()
        return {path for path, was in self._before.items() if now.get(path) != was}


def started_with(victim: str, paths: Sequence[str]) -> Iterator[str]:
    """Tell who is started again when *victim* is, by docs/tree.md."""
    parent, _, name = victim.rpartition("/")
    order = next((each for each in IN_ORDER if name in each), (name,))
    heads = [f"{parent}/{each}" for each in order[order.index(name) :]]
    for path in paths:
        if any(path == head or path.startswith(f"{head}/") for head in heads):
            yield path


@settings(max_examples=8, derandomize=True)
@given(killings)
def test_who_is_killed_takes_along_whom_the_tree_says(killing: Killing) -> None:
    with new_folder() as folder:
        world = Crew(folder, [killing])
        world.run()
    assert world.all_run
    (victim,) = world.victims
    assert world.begun_again == set(started_with(victim, list(world._before)))


@settings(max_examples=4, derandomize=True)
@given(st.lists(killings, min_size=2, max_size=6))
def test_a_crew_whose_actors_are_killed_does_all_its_work(several: list[Killing]) -> None:
    with new_folder() as folder:
        world = Crew(folder, several)
        world.run()
        assert len(world.laws.tasks) == MOST * len(SOULS) * 2
    assert world.all_run


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("sidecar/projects", "sidecar/orchestrator"),
        ("sidecar/projects/p/agents", "sidecar/projects/p/roster"),
    ],
)
def test_who_is_killed_together_does_not_wait_for_the_other(
    first: str, second: str, folder: Path
) -> None:
    world = Crew(folder, [Killing(30.0, first), Killing(0.0, second)])
    world.run()
    assert world.all_run
