"""Who is restarted with whom."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from mission_control.supervisor import (
    AutoShutdown,
    ChildTerminated,
    Intensity,
    Restart,
    ShutdownExit,
    Strategy,
    Supervisor,
    SupervisorGaveUp,
)

from .stage import CrashNow, Family, Finish, Say, Stage, settle


async def _incarnations(family: Family) -> dict[str, int]:
    return {child.id: child.incarnation for child in await family.ref.children()}


async def test_s40_one_for_one_restarts_only_the_one(stage: Stage) -> None:
    async with stage.watch(stage.static("c1", "c2")) as family:
        await family.crash("c1", "c1")
        assert await _incarnations(family) == {"c1": 3, "c2": 1}
        stage.take_journal()
        await family.crash("c1")
        reason = await family.ended()
        assert isinstance(reason, ShutdownExit)
        assert isinstance(reason.info, SupervisorGaveUp)
        assert stage.journal == ["stop c1", "stop c2"]


async def test_s41_failing_restarts_are_retried_at_once_and_each_counts(stage: Stage) -> None:
    async with stage.watch(stage.static("c1", "c2", intensity=Intensity(4))) as family:
        stage.knob("c1", fail_next=float("inf"))
        stage.take_journal()
        begun = trio.current_time()
        await family.crash("c1")
        assert isinstance(await family.ended(), ShutdownExit)
        assert trio.current_time() == begun
        assert stage.journal == ["stop c1", *["fail c1"] * 4, "stop c2"]


async def test_s42_one_for_all_restarts_every_child(stage: Stage) -> None:
    async with stage.watch(stage.static("c1", "c2", strategy=Strategy.ONE_FOR_ALL)) as family:
        stage.take_journal()
        await family.crash("c1")
        assert stage.take_journal() == ["stop c1", "stop c2", "start c1", "start c2"]
        assert await _incarnations(family) == {"c1": 2, "c2": 2}
        await family.crash("c2")
        assert await _incarnations(family) == {"c1": 3, "c2": 3}
        await family.crash("c1")
        assert isinstance(await family.ended(), ShutdownExit)


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
async def test_s43_s46_a_sibling_that_never_starts_again_ends_the_supervisor(
    stage: Stage, strategy: Strategy
) -> None:
    spec = stage.static("c1", "c2", strategy=strategy, intensity=Intensity(4))
    async with stage.watch(spec) as family:
        stage.knob("c2", fail_next=float("inf"))
        await family.crash("c1")
        assert isinstance(await family.ended(), ShutdownExit)
        assert stage.journal[-1] == "stop c1"
        # One restart for the crash, three for the retries; the fifth is one too many.
        assert stage.journal.count("fail c2") == 4


async def test_s44_a_sibling_that_fails_once_is_retried_with_the_group(stage: Stage) -> None:
    spec = stage.static("c1", "c2", strategy=Strategy.ONE_FOR_ALL, intensity=Intensity(4))
    async with stage.watch(spec) as family:
        stage.knob("c2", fail_next=1)
        stage.take_journal()
        await family.crash("c1")
        assert stage.journal == [
            "stop c1",
            "stop c2",
            "start c1",
            "fail c2",
            "stop c1",
            "start c1",
            "start c2",
        ]


async def test_s45_rest_for_one_leaves_the_earlier_ones_alone(stage: Stage) -> None:
    async with stage.watch(
        stage.static("c1", "c2", "c3", strategy=Strategy.REST_FOR_ONE)
    ) as family:
        stage.take_journal()
        await family.crash("c2")
        assert stage.take_journal() == ["stop c2", "stop c3", "start c2", "start c3"]
        await family.crash("c3")
        assert stage.take_journal() == ["stop c3", "start c3"]
        assert await _incarnations(family) == {"c1": 1, "c2": 2, "c3": 3}
        await family.crash("c2")
        assert isinstance(await family.ended(), ShutdownExit)
        assert stage.journal == ["stop c2", "stop c3", "stop c1"]


async def test_s47_rest_for_one_retries_from_the_one_that_failed(stage: Stage) -> None:
    spec = stage.static(
        "c1", "c2", "c3", "c4", strategy=Strategy.REST_FOR_ONE, intensity=Intensity(9)
    )
    async with stage.watch(spec) as family:
        stage.knob("c3", fail_next=2)
        stage.take_journal()
        await family.crash("c2")
        assert stage.journal == [
            "stop c2",
            "stop c4",
            "stop c3",
            "start c2",
            "fail c3",
            "fail c3",
            "start c3",
            "start c4",
        ]


async def test_s48_a_dynamic_child_is_restarted_alone_with_its_own_arguments(
    stage: Stage,
) -> None:
    async with stage.watch(stage.dynamic()) as family:
        first, second = [await family.ref.start_child(number) for number in (1, 2)]
        for expected in (2, 3):
            first.tell(CrashNow())
            assert await first.ask(Say()) == (1, None)
            assert (first.incarnation, second.incarnation) == (expected, 1)
        first.tell(CrashNow())
        assert isinstance(await family.ended(), ShutdownExit)


async def test_s49_a_dynamic_child_that_never_starts_again_ends_the_supervisor(
    stage: Stage,
) -> None:
    async with stage.watch(stage.dynamic()) as family:
        first, second = [await family.ref.start_child() for _ in range(2)]
        stage.knob("p", fail_next=float("inf"))
        first.tell(CrashNow())
        assert isinstance(await family.ended(), ShutdownExit)
        assert not second.alive


@pytest.mark.parametrize("restart", [Restart.TRANSIENT, Restart.PERMANENT])
async def test_s50_a_dynamic_child_that_ignores_its_restart_disappears(
    stage: Stage, restart: Restart
) -> None:
    async with stage.watch(stage.dynamic(restart=restart)) as family:
        ref = await family.ref.start_child()
        stage.knob("p", ignore_next=True)
        ref.kill()
        await settle()
        assert await family.kids() == []
        assert not ref.alive


async def test_s51_a_tree_restarts_from_below_upwards(stage: Stage) -> None:
    inner = Supervisor.spec("inner", [stage.probe("leaf")], intensity=Intensity(1))
    async with stage.watch(stage.static(inner)) as family:
        inner_ref: Any = await family.child("inner")
        for expected in (1, 2, 2, 3):
            (leaf,) = await inner_ref.children()
            leaf.ref.tell(CrashNow())
            await settle()
            if not family.ref.alive:
                break
            assert inner_ref.incarnation <= expected
        assert inner_ref.incarnation == 3
        assert family.ref.alive


async def test_s52_names_lead_to_the_living(stage: Stage) -> None:
    worker = stage.probe("worker", register="worker")
    inner = Supervisor.spec("inner", [worker], register="inner", restart=Restart.PERMANENT)
    async with stage.watch(stage.static(inner, intensity=Intensity(10))) as family:
        system = family.system

        async def check() -> None:
            await settle()
            found = system.whereis("worker")
            assert found is not None
            assert await found.ask(Say("x")) == ("x",)

        sup2: Any = system.whereis("inner")
        sup2.kill()
        await check()
        for act in ("kill", "crash"):
            found = system.whereis("worker")
            assert found is not None
            if act == "kill":
                found.kill()
            else:
                found.tell(CrashNow())
            await check()
        await sup2.terminate_child("worker")
        assert system.whereis("worker") is None
        await sup2.restart_child("worker")
        await check()
        await system.root.terminate_child("sup")
        assert (system.whereis("inner"), system.whereis("worker")) == (None, None)


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
async def test_r01_the_end_of_one_that_is_not_restarted_disturbs_nobody(
    stage: Stage, strategy: Strategy
) -> None:
    finite = stage.probe("b", restart=Restart.TRANSIENT)
    async with stage.watch(stage.static("a", finite, "c", strategy=strategy)) as family:
        await family.tell("b", Finish())
        assert await _incarnations(family) == {"a": 1, "b": 1, "c": 1}


async def test_r02_one_for_all_starts_also_what_was_stopped_by_hand(stage: Stage) -> None:
    finite = stage.probe("b", restart=Restart.TRANSIENT)
    async with stage.watch(stage.static("a", finite, "c", strategy=Strategy.ONE_FOR_ALL)) as family:
        await family.ref.terminate_child("c")
        await family.tell("b", Finish())
        await family.crash("a")
        assert await family.kids() == [("c", "running"), ("b", "running"), ("a", "running")]


async def test_r15_a_crash_found_during_a_group_stop_is_not_a_second_one(stage: Stage) -> None:
    spec = stage.static("a", "b", strategy=Strategy.ONE_FOR_ALL, intensity=Intensity(1))
    async with stage.watch(spec) as family:
        for child in await family.ref.children():
            child.ref.tell(CrashNow())
        await settle()
        assert await _incarnations(family) == {"a": 2, "b": 2}
        assert len(stage.of_kind(ChildTerminated)) == 1


async def test_siblings_of_a_group_that_waits_die_when_the_retry_is_called_off(
    stage: Stage,
) -> None:
    spec = stage.static("a", "b", strategy=Strategy.ONE_FOR_ALL, intensity=Intensity(99))
    async with stage.watch(spec) as family:
        second = await family.child("b")
        stage.knob("a", start_takes=1, fail_next=float("inf"))
        await family.tell("a", CrashNow())
        assert second.alive
        await family.ref.terminate_child("a")
        assert not second.alive
        assert await family.kids() == [("b", "stopped"), ("a", "stopped")]


@pytest.mark.parametrize("how", ["api", "kill", "crash", "finish"])
@pytest.mark.parametrize("mode", list(AutoShutdown))
async def test_s56_the_end_of_what_is_not_significant_is_none(
    stage: Stage, mode: AutoShutdown, how: str
) -> None:
    spec = stage.probe("c1", restart=Restart.TEMPORARY)
    async with stage.watch(stage.static(spec, "c2", auto_shutdown=mode)) as family:
        await _end(family, "c1", how)
        assert await family.kids() == [("c2", "running")]


@pytest.mark.parametrize("how", ["api", "kill", "crash", "finish"])
@pytest.mark.parametrize("mode", [AutoShutdown.ANY_SIGNIFICANT, AutoShutdown.ALL_SIGNIFICANT])
async def test_s57_temporary_significant_children_end_their_supervisor(
    stage: Stage, mode: AutoShutdown, how: str
) -> None:
    specs = [stage.probe(n, restart=Restart.TEMPORARY, significant=True) for n in ("c1", "c2")]
    async with stage.watch(stage.static(*specs, "c3", auto_shutdown=mode)) as family:
        await _end(family, "c1", how)
        any_ends = mode is AutoShutdown.ANY_SIGNIFICANT and how != "api"
        assert family.ref.alive is not any_ends
        if not any_ends:
            await _end(family, "c2", how)
            assert family.ref.alive is (how == "api")
        if how != "api":
            assert await family.ended() == ShutdownExit()
            assert "stop c3" in stage.journal


@pytest.mark.parametrize("mode", [AutoShutdown.ANY_SIGNIFICANT, AutoShutdown.ALL_SIGNIFICANT])
async def test_s58_transient_significant_children_count_when_they_finish(
    stage: Stage, mode: AutoShutdown
) -> None:
    specs = [stage.probe(n, restart=Restart.TRANSIENT, significant=True) for n in ("c1", "c2")]
    async with stage.watch(stage.static(*specs, auto_shutdown=mode)) as family:
        await _end(family, "c1", "crash")
        await _end(family, "c1", "kill")
        assert await family.counts() == (2, 2, 0, 2)
        await _end(family, "c1", "finish")
        if mode is AutoShutdown.ALL_SIGNIFICANT:
            assert await family.counts() == (2, 1, 0, 2)
            await _end(family, "c2", "finish")
        assert await family.ended() == ShutdownExit()


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
@pytest.mark.parametrize("mode", [AutoShutdown.ANY_SIGNIFICANT, AutoShutdown.ALL_SIGNIFICANT])
async def test_s59_a_significant_bystander_of_a_restart_ends_nobody(
    stage: Stage, mode: AutoShutdown, strategy: Strategy
) -> None:
    bystander = stage.probe("c2", restart=Restart.TEMPORARY, significant=True)
    spec = stage.static("c1", bystander, strategy=strategy, auto_shutdown=mode)
    async with stage.watch(spec) as family:
        await family.crash("c1")
        assert await family.kids() == [("c1", "running")]
        assert "stop c2" in stage.journal


@pytest.mark.parametrize("significant", [True, False])
async def test_s60_an_auto_shutdown_spreads_by_significance(
    stage: Stage, significant: bool
) -> None:
    leaf = stage.probe("leaf", restart=Restart.TRANSIENT, significant=True)
    inner = Supervisor.spec(
        "inner",
        [leaf],
        restart=Restart.TRANSIENT,
        significant=significant,
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
    )
    spec = stage.static(inner, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    async with stage.watch(spec) as family:
        inner_ref: Any = await family.child("inner")
        (await inner_ref.children())[0].ref.tell(Finish())
        await settle()
        assert not inner_ref.alive
        assert family.ref.alive is not significant


async def _end(family: Family, child_id: str, how: str) -> None:
    ref = await family.child(child_id)
    match how:
        case "api":
            await family.ref.terminate_child(child_id)
        case "kill":
            ref.kill()
        case "crash":
            ref.tell(CrashNow())
        case _:
            ref.tell(Finish())
    await settle()
