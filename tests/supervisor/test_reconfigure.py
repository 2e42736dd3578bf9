"""Changing a supervisor while it runs, and what supervisors tell about."""

from __future__ import annotations

import logging
import random

import attrs
import pytest
import trio

from mission_control.supervisor import (
    AutoShutdown,
    Backoff,
    BadFlags,
    BadSpec,
    ChildStarted,
    ChildTerminated,
    DynamicSupervisor,
    GaveUp,
    Intensity,
    NotSupported,
    Restart,
    ShutdownError,
    ShutdownExit,
    StartError,
    Strategy,
    open_system,
)

from .stage import CrashNow, Finish, Stage, settle


async def test_s61_running_children_keep_running_and_new_ones_wait(stage: Stage) -> None:
    async with stage.watch(stage.static("c1", "c2")) as family:
        longer = stage.probe("c1", shutdown=9.0)
        await family.ref.reconfigure(
            specs=[longer, stage.probe("c3")],
            strategy=Strategy.ONE_FOR_ALL,
            intensity=Intensity(7),
        )
        assert await family.kids() == [("c3", "stopped"), ("c2", "running"), ("c1", "running")]
        assert await family.ref.get_spec("c1") is longer
        assert (await family.child("c1")).incarnation == 1
        await family.crash("c1")
        assert await family.counts() == (3, 3, 0, 3)


async def test_s61_a_bad_change_changes_nothing(stage: Stage) -> None:
    async with stage.watch(stage.static("c1")) as family:
        significant = stage.probe("c2", significant=True, restart=Restart.TRANSIENT)
        with pytest.raises(BadSpec):
            await family.ref.reconfigure(
                specs=[stage.probe("c1", shutdown=9.0), significant], intensity=Intensity(9)
            )
        with pytest.raises(BadSpec):
            await family.ref.reconfigure(specs=[stage.probe("c3"), stage.probe("c3")])
        with pytest.raises(BadSpec):
            await family.ref.reconfigure(specs=[attrs.evolve(stage.static(), id="c1")])
        assert (await family.ref.get_spec("c1")).shutdown == 1.0
        assert await family.kids() == [("c1", "running")]


async def test_s61_a_new_stop_time_holds_at_once(stage: Stage) -> None:
    stage.knob("c1", deaf=True)
    async with stage.watch(stage.static("c1")) as family:
        await family.ref.reconfigure(specs=[stage.probe("c1", shutdown=3.0)])
        begun = trio.current_time()
        await family.ref.terminate_child("c1")
        assert trio.current_time() - begun == 3


async def test_s61_significance_and_auto_shutdown_can_change_together(stage: Stage) -> None:
    plain = stage.probe("c1", restart=Restart.TRANSIENT)
    async with stage.watch(stage.static(plain, "c2")) as family:
        await family.ref.reconfigure(
            specs=[attrs.evolve(plain, significant=True)],
            auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
        )
        await family.tell("c1", Finish())
        assert await family.ended() == ShutdownExit()


async def test_s61_a_dynamic_supervisor_takes_one_template(stage: Stage) -> None:
    async with stage.watch(stage.dynamic()) as family:
        first = await family.ref.start_child()
        for specs in ([], [stage.probe("p"), stage.probe("q")]):
            with pytest.raises(BadSpec):
                await family.ref.reconfigure(specs=specs)
        with pytest.raises(BadFlags):
            await family.ref.reconfigure(strategy=Strategy.ONE_FOR_ALL)
        changed = stage.probe("p", "new")
        await family.ref.reconfigure(specs=[changed], intensity=Intensity(9))
        assert await family.ref.get_spec(first) is changed
        assert first.incarnation == 1


async def test_s61_without_a_template_there_is_none_to_change(stage: Stage) -> None:
    async with stage.watch(DynamicSupervisor.spec("sup")) as family:
        with pytest.raises(NotSupported):
            await family.ref.reconfigure(specs=[stage.probe("p")])


async def test_s62_events_say_who_what_and_why(stage: Stage) -> None:
    async with stage.watch(stage.static("c1", intensity=Intensity(3))) as family:
        stage.events.clear()
        stage.knob("c1", fail_next=1, stop_fails=True)
        await family.crash("c1")
        kinds = [type(event) for event in stage.events]
        assert kinds == [ShutdownError, ChildTerminated, StartError, ChildStarted]
        event = stage.of_kind(ChildTerminated)[0]
        ref = await family.child("c1")
        assert event.supervisor == "top/sup"
        assert attrs.astuple(event.offender, recurse=False) == (
            "c1",
            ref,
            1,
            Restart.PERMANENT,
            1.0,
            "worker",
        )
        await family.crash("c1", "c1")
        assert isinstance(await family.ended(), ShutdownExit)
        (gave_up,) = stage.of_kind(GaveUp)
        assert (gave_up.supervisor, gave_up.offender.id) == ("top/sup", "c1")


async def test_s62_by_default_events_are_logged_in_one_line(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "mission_control.supervisor")
    async with open_system("plane") as system:
        ref = await system.root.start_child(stage.probe("p"))
        ref.tell(CrashNow())
        await settle()
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "plane: started p (no. 1)",
        "plane: p (no. 1) ended, crash: Boom: p",
        "plane: started p (no. 2)",
    ]
    assert caplog.records[1].exc_info is not None


def test_a_backoff_grows_to_its_limit_and_jitters_by_the_given_generator() -> None:
    backoff = Backoff(0.5, 60, factor=3, jitter=0.5)
    rng = random.Random(1)  # noqa: S311
    plain = Backoff(0.5, 60, factor=3)
    assert [plain.delay(n, rng) for n in (0, 1, 2, 9, 100_000)] == [0.5, 1.5, 4.5, 60, 60]
    assert all(0.5 <= backoff.delay(0, rng) <= 0.75 for _ in range(100))


@pytest.mark.parametrize("wrong", [(-1, 1), (2, 1), (1, float("inf")), (True, 2)])
def test_a_backoff_has_finite_bounds_in_order(wrong: tuple[float, float]) -> None:
    with pytest.raises(BadFlags):
        Backoff(*wrong)
