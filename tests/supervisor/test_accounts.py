"""What a supervisor counts, what it keeps, and what it looks at."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from mission_control.supervisor import (
    BadSpec,
    DynamicSupervisor,
    Exit,
    Intensity,
    Normal,
    Restart,
    ShutdownExit,
    Strategy,
)

from .stage import CrashNow, Finish, Stage, settle


async def test_r05_a_restart_by_hand_leaves_the_budget_for_crashes(stage: Stage) -> None:
    async with stage.watch(stage.static("c1", intensity=Intensity(1))) as family:
        for _ in range(5):
            await family.ref.terminate_child("c1")
            await family.ref.restart_child("c1")
        await family.crash("c1")
        assert await family.counts() == (1, 1, 0, 1)


async def test_r06_a_crash_that_is_not_followed_by_a_restart_leaves_the_budget(
    stage: Stage,
) -> None:
    spec = stage.probe("c1", restart=Restart.TEMPORARY)
    async with stage.watch(stage.static(spec, "c2", intensity=Intensity(1))) as family:
        await family.crash("c1", "c2")
        assert await family.kids() == [("c2", "running")]


async def test_s61_a_bad_specification_leaves_the_flags_as_they_were(stage: Stage) -> None:
    async with stage.watch(stage.static("c1", "c2", intensity=Intensity(1))) as family:
        significant = stage.probe("c3", significant=True, restart=Restart.TRANSIENT)
        with pytest.raises(BadSpec):
            await family.ref.reconfigure(
                specs=[significant], strategy=Strategy.ONE_FOR_ALL, intensity=Intensity(0)
            )
        stage.take_journal()
        await family.crash("c1")
        assert stage.journal == ["stop c1", "start c1"]


class Luggage:
    """An argument that is heavy to keep."""


@pytest.mark.parametrize("how", [Finish(), CrashNow()])
async def test_s37_the_arguments_of_a_temporary_child_go_with_it(stage: Stage, how: Any) -> None:
    async with stage.watch(stage.dynamic(restart=Restart.TEMPORARY)) as family:
        await family.ref.start_child()
        luggage = Luggage()
        there = weakref.ref(luggage)
        (await family.ref.start_child(luggage)).tell(how)
        del luggage
        await settle()
        # Who is idle has the last message still in hand, or the last actor: give them another.
        (await family.ref.start_child()).tell("hello")
        await settle()
        stage.events.clear()  # they name the child, and its ref knows its arguments
        gc.collect()
        assert there() is None


class CountedId(str):
    """An id that counts how often somebody looks for it, or comes across it."""

    __slots__ = ()
    looks = 0

    def __hash__(self) -> int:
        CountedId.looks += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        CountedId.looks += 1
        return super().__eq__(other)


@pytest.mark.parametrize("how", ["finish", "terminate"])
async def test_s63_the_end_of_a_child_does_not_look_at_the_others(stage: Stage, how: str) -> None:
    async def looks(count: int) -> int:
        async with stage.watch(DynamicSupervisor.spec("sup")) as family:
            refs = [
                await family.ref.start_child(
                    stage.probe(CountedId(f"c{number}"), restart=Restart.TEMPORARY)
                )
                for number in range(count)
            ]
            CountedId.looks = 0
            if how == "finish":
                refs[count // 2].tell(Finish())
                await settle()
            else:
                await family.ref.terminate_child(refs[count // 2])
            return CountedId.looks

    assert await looks(100) < 30


@pytest.mark.parametrize("how", [Normal(), ShutdownExit("done")])
async def test_s33_a_dynamic_transient_child_that_ends_well_is_forgotten(
    stage: Stage, how: Exit
) -> None:
    async with stage.watch(stage.dynamic(restart=Restart.TRANSIENT)) as family:
        ref = await family.ref.start_child()
        ref.tell(Finish(how))
        await settle()
        assert await family.kids() == []
        assert await family.counts() == (1, 0, 0, 0)
