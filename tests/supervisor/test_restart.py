"""Which ends are followed by a restart, and how many restarts there may be."""

from __future__ import annotations

import math
from typing import Any

import pytest
import trio

from mission_control.supervisor import (
    AlreadyPresent,
    AlreadyStarted,
    Backoff,
    BadFlags,
    Exit,
    GaveUp,
    Intensity,
    Killed,
    Normal,
    Restart,
    ShutdownExit,
    Strategy,
    Supervisor,
    SupervisorGaveUp,
)

from .stage import Boom, CrashNow, Family, Finish, Say, Stage, settle

GOOD_ENDS: list[Exit] = [Normal(), ShutdownExit(), ShutdownExit("done")]


async def _end(family: Family, how: Exit | str) -> None:
    ref = await family.child("c1")
    if how == "kill":
        ref.kill()
    elif how == "crash":
        ref.tell(CrashNow())
    elif how == "api":
        await family.ref.terminate_child("c1")
    else:
        ref.tell(Finish(how))  # type: ignore[arg-type]
    await settle()


@pytest.mark.parametrize("how", [*GOOD_ENDS, "crash", "kill"])
async def test_s32_a_permanent_child_is_always_restarted(stage: Stage, how: Any) -> None:
    async with stage.watch(stage.static("c1")) as family:
        ref = await family.child("c1")
        await _end(family, how)
        assert await family.counts() == (1, 1, 0, 1)
        assert ref.incarnation == 2


@pytest.mark.parametrize("how", GOOD_ENDS)
async def test_s33_a_transient_child_that_ends_well_is_stopped(stage: Stage, how: Exit) -> None:
    spec = stage.probe("c1", restart=Restart.TRANSIENT)
    async with stage.watch(stage.static(spec)) as family:
        await _end(family, how)
        assert await family.kids() == [("c1", "stopped")]
        assert await family.counts() == (1, 0, 0, 1)
        await family.ref.restart_child("c1")
        assert await family.kids() == [("c1", "running")]


@pytest.mark.parametrize("how", ["crash", "kill"])
async def test_s34_a_transient_child_that_ends_badly_is_restarted(stage: Stage, how: str) -> None:
    spec = stage.probe("c1", restart=Restart.TRANSIENT)
    async with stage.watch(stage.static(spec)) as family:
        await _end(family, how)
        assert await family.kids() == [("c1", "running")]


@pytest.mark.parametrize("how", [*GOOD_ENDS, "crash", "kill"])
async def test_s35_a_temporary_child_is_forgotten(stage: Stage, how: Any) -> None:
    spec = stage.probe("c1", restart=Restart.TEMPORARY)
    async with stage.watch(stage.static(spec)) as family:
        await _end(family, how)
        assert await family.counts() == (0, 0, 0, 0)
        assert await family.ref.start_child(spec) is not None


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
async def test_s36_a_temporary_bystander_of_a_group_restart_is_forgotten(
    stage: Stage, strategy: Strategy
) -> None:
    bystander = stage.probe("c2", restart=Restart.TEMPORARY)
    async with stage.watch(stage.static("c1", bystander, strategy=strategy)) as family:
        await family.crash("c1")
        assert await family.kids() == [("c1", "running")]
        assert stage.journal == ["start c1", "start c2", "stop c1", "stop c2", "start c1"]


async def test_s37_restarted_children_get_their_own_arguments_again(stage: Stage) -> None:
    async with stage.watch(stage.dynamic()) as family:
        refs = [await family.ref.start_child(number) for number in (1, 2)]
        refs[0].tell(CrashNow())
        assert await refs[0].ask(Say("x")) == (1, "x")
        assert [ref.incarnation for ref in refs] == [2, 1]


@pytest.mark.parametrize("strategy", list(Strategy))
@pytest.mark.parametrize("restart", list(Restart))
@pytest.mark.parametrize("how", ["kill", Normal(), "crash", "api"])
async def test_s38_what_start_child_says_after_an_end(
    stage: Stage, strategy: Strategy, restart: Restart, how: Any
) -> None:
    spec = stage.probe("c1", restart=restart)
    async with stage.watch(stage.static(spec, strategy=strategy)) as family:
        await _end(family, how)
        try:
            await family.ref.start_child(spec)
        except AlreadyStarted:
            said = "started"
        except AlreadyPresent:
            said = "present"
        else:
            said = "ok"
        stays_down = how == "api" or (restart is Restart.TRANSIENT and how == Normal())
        expected = "present" if stays_down else "started"
        assert said == ("ok" if restart is Restart.TEMPORARY else expected)


async def test_s39_crashes_below_the_intensity_go_on_for_ever(stage: Stage) -> None:
    async with stage.watch(stage.static("c1", intensity=Intensity(1, period=1))) as family:
        for _ in range(4):
            await family.crash("c1")
            await trio.sleep(2.1)
        assert await family.counts() == (1, 1, 0, 1)


async def test_r03_with_intensity_zero_the_first_crash_is_the_end(stage: Stage) -> None:
    async with stage.watch(stage.static("c1", intensity=Intensity(0))) as family:
        await family.crash("c1")
        reason = await family.ended()
        assert isinstance(reason, ShutdownExit)
        assert isinstance(reason.info, SupervisorGaveUp)
        assert isinstance(reason.info.__cause__, Boom)


@pytest.mark.parametrize(("gap", "alive"), [(0.9, False), (1.0, False), (1.1, True), (2.1, True)])
async def test_r04_the_window_is_inclusive_and_exact(stage: Stage, gap: float, alive: bool) -> None:
    async with stage.watch(stage.static("c1", intensity=Intensity(1, period=1))) as family:
        async with trio.open_nursery() as nursery:
            ref = await family.child("c1")
            for _ in range(8):
                ref.tell(CrashNow())
                await trio.sleep(gap)
            nursery.cancel_scope.cancel()
        assert family.ref.alive is alive


async def test_r05_restarts_by_hand_do_not_count(stage: Stage) -> None:
    async with stage.watch(stage.static("c1", intensity=Intensity(0))) as family:
        for _ in range(5):
            await family.ref.terminate_child("c1")
            await family.ref.restart_child("c1")
        assert await family.counts() == (1, 1, 0, 1)


async def test_r06_crashes_of_temporary_children_do_not_count(stage: Stage) -> None:
    spec = stage.probe("c1", restart=Restart.TEMPORARY)
    async with stage.watch(stage.static(spec, intensity=Intensity(0))) as family:
        await family.crash("c1")
        assert await family.kids() == []


async def test_r08_simultaneous_crashes_count_one_each(stage: Stage) -> None:
    names = ["a", "b", "c", "d"]
    async with stage.watch(stage.static(*names, intensity=Intensity(3))) as family:
        for child in await family.ref.children():
            child.ref.tell(CrashNow())
        assert isinstance(await family.ended(), ShutdownExit)
        assert len(stage.of_kind(GaveUp)) == 1


async def test_r09_a_child_that_ignores_its_restart_is_kept_as_stopped(stage: Stage) -> None:
    async with stage.watch(stage.static("a")) as family:
        stage.knob("a", ignore_next=True)
        await family.crash("a")
        assert await family.kids() == [("a", "stopped")]


@pytest.mark.parametrize("restart", [Restart.TRANSIENT, Restart.PERMANENT])
async def test_r11_a_supervisor_that_gives_up_ends_as_shutdown(
    stage: Stage, restart: Restart
) -> None:
    inner = Supervisor.spec("inner", [stage.probe("c1")], intensity=Intensity(0), restart=restart)
    async with stage.watch(stage.static(inner)) as family:
        inner_ref: Any = await family.child("inner")
        (await inner_ref.children())[0].ref.tell(CrashNow())
        await settle()
        state = "stopped" if restart is Restart.TRANSIENT else "running"
        assert await family.kids() == [("inner", state)]


async def test_the_root_that_gives_up_raises_from_the_last_crash(stage: Stage) -> None:
    async def run() -> None:
        async with stage.system(intensity=Intensity(1)) as system:
            inner = Supervisor.spec("inner", [stage.probe("c1")], intensity=Intensity(0))
            sup = await system.root.start_child(inner)
            while True:
                (child,) = await sup.children()
                child.ref.tell(CrashNow())
                await settle()

    with pytest.raises(SupervisorGaveUp, match="top gave up: top/inner") as caught:
        await run()
    assert isinstance(caught.value.__cause__, Boom)


async def test_what_the_block_raises_is_not_wrapped(stage: Stage) -> None:
    with pytest.raises(Boom):
        async with stage.system():
            raise Boom
    group = ExceptionGroup("mine", [Boom()])
    with pytest.RaisesGroup(Boom) as caught:
        async with stage.system():
            raise group
    assert (caught.value.message, caught.value.exceptions) == (group.message, group.exceptions)


async def test_x30_backoff_delays_restarts_and_starts_anew_after_a_long_run(
    stage: Stage,
) -> None:
    backoff = Backoff(1, 4, reset_after=10)
    spec = stage.probe("c1", backoff=backoff)
    async with stage.watch(stage.static(spec, intensity=Intensity(100))) as family:
        ref = await family.child("c1")

        async def restart_takes() -> float:
            begun, before = trio.current_time(), ref.incarnation
            ref.tell(CrashNow())
            await settle()
            assert await family.kids() == [("c1", "restarting")]
            while ref.incarnation == before:
                await trio.sleep(0.25)
                await settle()
            return trio.current_time() - begun

        assert [await restart_takes() for _ in range(4)] == [1, 2, 4, 4]
        await trio.sleep(11)
        assert await restart_takes() == 1
        await family.crash("c1")
        await family.ref.terminate_child("c1")
        await trio.sleep(50)
        assert await family.kids() == [("c1", "stopped")]


async def test_a_failing_start_backs_off_too(stage: Stage) -> None:
    spec = stage.probe("c1", backoff=Backoff(1, 60))
    async with stage.watch(stage.static(spec, intensity=Intensity(100))) as family:
        stage.knob("c1", fail_next=3)
        begun = trio.current_time()
        await family.crash("c1")
        await trio.sleep(14.5)
        assert stage.journal.count("fail c1") == 3
        await trio.sleep(1)
        assert await family.kids() == [("c1", "running")]
        assert trio.current_time() - begun == 15.5


@pytest.mark.parametrize(
    "wrong", [(-1, 1.0), (True, 1.0), (1.5, 1.0), (math.inf, 1.0), (1, 0), (1, -1), (1, math.inf)]
)
def test_s28_an_intensity_is_a_count_and_some_seconds(wrong: tuple[Any, Any]) -> None:
    with pytest.raises(BadFlags):
        Intensity(*wrong)


async def test_a_killed_supervisor_kills_its_children_and_is_started_again(stage: Stage) -> None:
    inner = Supervisor.spec("inner", [stage.probe("c1")])
    async with stage.watch(stage.static(inner)) as family:
        inner_ref: Any = await family.child("inner")
        old = (await inner_ref.children())[0].ref
        async with old.monitor() as down:
            inner_ref.kill()
            assert (await down.wait()).exit == Killed()
        (child,) = await inner_ref.children()
        assert (child.state, child.ref is old) == ("running", False)
        assert stage.journal == ["start c1", "start c1"]
