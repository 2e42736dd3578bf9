"""How children stop: asked, in order, each in its time."""

from __future__ import annotations

import math
import subprocess
import sys
from contextlib import suppress
from typing import Any

import pytest
import trio

from mission_control.supervisor import (
    ActorDead,
    ChildSpec,
    Context,
    Crash,
    Down,
    DynamicSupervisor,
    Exit,
    Killed,
    Restart,
    Shutdown,
    ShutdownError,
    ShutdownExit,
    Strategy,
    Supervisor,
)

from .stage import Finish, Stage, Work, own_lane, settle


async def _ends(refs: list[Any], stop: Any) -> list[Exit | None]:
    downs: list[Down] = []

    async def run(ref: Any, task_status: Any) -> None:
        async with ref.monitor() as down:
            task_status.started()
            downs.append(await down.wait())

    async with trio.open_nursery() as nursery:
        for ref in refs:
            await nursery.start(run, ref)
        await stop()
    by_ref = {down.ref: down.exit for down in downs}
    return [by_ref[ref] for ref in refs]


async def test_s13_children_without_a_limit_get_all_the_time_they_take(stage: Stage) -> None:
    for name in ("c1", "c2"):
        stage.knob(name, stop_takes=90)
    specs = [stage.probe(name, shutdown=math.inf) for name in ("c1", "c2")]
    async with stage.watch(stage.static(*specs)) as family:
        refs = [await family.child(name) for name in ("c1", "c2")]
        begun = trio.current_time()
        ends = await _ends(refs, lambda: family.system.root.terminate_child("sup"))
        assert ends == [ShutdownExit(), ShutdownExit()]
        assert trio.current_time() - begun == 180


async def test_s14_a_child_that_does_not_stop_in_time_is_killed(stage: Stage) -> None:
    stage.knob("c2", deaf=True)
    async with stage.watch(stage.static("c1", "c2")) as family:
        refs = [await family.child(name) for name in ("c1", "c2")]
        begun = trio.current_time()
        ends = await _ends(refs, lambda: family.system.root.terminate_child("sup"))
        assert ends == [ShutdownExit(), Killed()]
        assert trio.current_time() - begun == 1.0
        assert stage.take_journal()[2:] == ["stop c2", "stop c1"]
        assert await family.ended() == ShutdownExit()


async def test_s15_a_slow_dynamic_child_is_killed_and_the_others_are_not(stage: Stage) -> None:
    async def slow(ctx: Context[Any], seconds: float) -> None:
        async for _ in ctx.inbox:
            pass
        await trio.sleep(seconds)

    spec = DynamicSupervisor.spec("sup", template=ChildSpec("slow", slow, shutdown=2.0))
    async with stage.watch(spec) as family:
        refs = [await family.ref.start_child(seconds) for seconds in (1, 1, 5)]
        await settle()
        begun = trio.current_time()
        ends = await _ends(refs, lambda: family.system.root.terminate_child("sup"))
        assert ends == [ShutdownExit(), ShutdownExit(), Killed()]
        assert trio.current_time() - begun == 2.0


@pytest.mark.parametrize("of_tree", ["own", "shared"])
async def test_trees_below_a_dynamic_supervisor_are_stopped_side_by_side(
    stage: Stage, of_tree: Any
) -> None:
    async def slow(ctx: Context[Any]) -> None:
        async for _ in ctx.inbox:
            pass
        await trio.sleep(1.0)

    async with stage.watch(DynamicSupervisor.spec("sup")) as family:
        for number in range(5):
            pair = [ChildSpec(name, slow, shutdown=5.0) for name in ("a", "b")]
            await family.ref.start_child(Supervisor.spec(f"tree-{number}", pair, lane=of_tree))
        await settle()
        begun = trio.current_time()
        await family.system.root.terminate_child("sup")
        assert trio.current_time() - begun == 2.0, "as long as one tree takes"


async def test_s16_a_brutal_kill_takes_no_time_and_runs_no_hook(stage: Stage) -> None:
    brutal = stage.probe("c2", shutdown=Shutdown.BRUTAL_KILL)
    async with stage.watch(stage.static("c1", brutal)) as family:
        refs = [await family.child(name) for name in ("c1", "c2")]
        begun = trio.current_time()
        ends = await _ends(refs, lambda: family.system.root.terminate_child("sup"))
        assert ends == [ShutdownExit(), Killed()]
        assert trio.current_time() == begun
        assert stage.journal == ["start c1", "start c2", "stop c1"]
        assert stage.of_kind(ShutdownError) == []


async def test_s16_ten_dynamic_children_are_killed_at_once(stage: Stage) -> None:
    async with stage.watch(stage.dynamic(shutdown=Shutdown.BRUTAL_KILL)) as family:
        refs = [await family.ref.start_child() for _ in range(10)]
        ends = await _ends(refs, lambda: family.system.root.terminate_child("sup"))
        assert ends == [Killed()] * 10
        assert "stop p" not in stage.journal


async def test_s17_children_may_end_by_themselves_meanwhile(stage: Stage) -> None:
    names = [f"c{number}" for number in range(10)]
    async with stage.watch(stage.static(*names, strategy=Strategy.ONE_FOR_ALL)) as family:
        for child in await family.ref.children():
            child.ref.tell(Finish())
        await family.system.root.terminate_child("sup")
        assert isinstance(await family.ended(), ShutdownExit)


@pytest.mark.parametrize("restart", list(Restart))
async def test_s18_only_a_bad_end_is_a_shutdown_error(stage: Stage, restart: Restart) -> None:
    async with stage.watch(stage.dynamic(restart=restart)) as family:
        for fails in (False, True):
            stage.knob("p", stop_fails=fails)
            await family.ref.terminate_child(await family.ref.start_child())
        await family.system.root.terminate_child("sup")
        (error,) = stage.of_kind(ShutdownError)
        assert isinstance(error.reason, Crash)
        assert await family.ended() == ShutdownExit()


async def test_s19_a_child_that_swallows_its_cancellation_cannot_hang_the_supervisor(
    stage: Stage,
) -> None:
    async def naughty(_: Context[Any]) -> None:
        for _again in range(5):
            with suppress(trio.Cancelled):
                await trio.sleep_forever()

    spec = ChildSpec("naughty", naughty, shutdown=1.0)
    async with stage.watch(stage.static("c1", spec)) as family:
        await settle()
        await family.system.root.terminate_child("sup")
        assert await family.ended() == ShutdownExit()


async def test_s20_children_stop_in_the_reverse_of_their_start(stage: Stage) -> None:
    names = ["ch7", "ch3", "ch10", "ch2", "ch5"]
    async with stage.watch(stage.static(*names, strategy=Strategy.REST_FOR_ONE)) as family:
        assert stage.take_journal() == [f"start {name}" for name in names]
        await family.crash("ch10")
        assert stage.take_journal() == [
            "stop ch10",
            "stop ch5",
            "stop ch2",
            "start ch10",
            "start ch2",
            "start ch5",
        ]
        await family.system.root.terminate_child("sup")
        assert stage.take_journal() == [f"stop {name}" for name in reversed(names)]


async def test_leaving_the_block_stops_the_tree_in_reverse(stage: Stage) -> None:
    async with stage.system() as system:
        await system.root.start_child(stage.probe("first"))
        await system.root.start_child(stage.static("a", "b"))
        await system.root.start_child(stage.probe("last"))
        stage.take_journal()
    assert stage.journal == ["stop last", "stop b", "stop a", "stop first"]


async def test_x22_a_crash_in_the_stop_hook_is_told_and_the_supervisor_goes_on(
    stage: Stage,
) -> None:
    stage.knob("c1", stop_fails=True)
    async with stage.watch(stage.static("c1", "c2")) as family:
        await family.ref.terminate_child("c1")
        (error,) = stage.of_kind(ShutdownError)
        assert error.offender.id == "c1"
        assert await family.kids() == [("c2", "running"), ("c1", "stopped")]


async def test_a_crash_in_the_stop_hook_after_a_crash_keeps_the_first_reason(
    stage: Stage,
) -> None:
    stage.knob("c1", stop_fails=True)
    async with stage.watch(stage.static("c1")) as family:
        await family.crash("c1")
        assert len(stage.of_kind(ShutdownError)) == 1
        assert await family.counts() == (1, 1, 0, 1)


async def test_x24_outer_cancellation_keeps_the_reverse_order(stage: Stage) -> None:
    stage.knob("a", stop_takes=0.5)
    with trio.CancelScope() as scope:
        async with stage.system() as system:
            await system.root.start_child(stage.static("a", "b"))
            stage.take_journal()
            stage.events.clear()
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert stage.journal == ["stop b", "stop a"]
    assert stage.events == []


async def test_x24_a_system_may_be_opened_under_cancellation(stage: Stage) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        async with stage.system():
            pytest.fail("the block was entered")
    assert scope.cancelled_caught


async def test_x24_the_grace_time_ends_what_takes_too_long(stage: Stage) -> None:
    stage.knob("a", stop_takes=100)
    with trio.CancelScope() as scope:
        async with stage.system(grace=2.0) as system:
            await system.root.start_child(stage.probe("a", shutdown=math.inf))
            begun = trio.current_time()
            scope.cancel()
            await trio.sleep_forever()
    assert trio.current_time() - begun == 2.0


async def test_x24_cancellation_while_the_block_is_being_left_starts_the_grace_time(
    stage: Stage,
) -> None:
    stage.knob("a", stop_takes=100)
    with trio.move_on_after(10) as scope:
        async with stage.system(grace=2.0) as system:
            await system.root.start_child(stage.probe("a", shutdown=math.inf))
            begun = trio.current_time()
    assert scope.cancelled_caught
    assert trio.current_time() - begun == 12.0


async def test_x25_a_keyboard_interrupt_in_a_handler_leaves_the_system_stopped(
    stage: Stage,
) -> None:
    async def interrupted(ctx: Context[Any]) -> None:
        async for _ in ctx.inbox:
            raise KeyboardInterrupt

    async def run() -> None:
        async with stage.system() as system:
            await system.root.start_child(stage.static("a", "b"))
            ref = await system.root.start_child(ChildSpec("i", interrupted))
            ref.tell("now")
            await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        await run()
    assert stage.journal == ["start a", "start b", "stop b", "stop a"]


@own_lane("its handler awaits")
async def test_an_interrupted_receive_leaves_its_hook_time(stage: Stage) -> None:
    async with stage.watch(stage.static("c1")) as family:
        ref = await family.child("c1")
        ref.tell(Work(100))
        await settle()
        begun = trio.current_time()
        await family.ref.terminate_child("c1")
        assert trio.current_time() == begun
        assert stage.journal == ["start c1", "stop c1"]


@own_lane("its handler awaits")
async def test_an_actor_that_is_not_to_be_interrupted_finishes_its_message(stage: Stage) -> None:
    spec = stage.probe("c1", interrupt=False, shutdown=5.0)
    async with stage.watch(stage.static(spec)) as family:
        (await family.child("c1")).tell(Work(3))
        await settle()
        begun = trio.current_time()
        await family.ref.terminate_child("c1")
        assert trio.current_time() - begun == 3
        assert stage.journal == ["start c1", "worked c1", "stop c1"]


async def test_stopping_is_not_disturbed_by_the_start_of_a_child(stage: Stage) -> None:
    stage.knob("slow", start_takes=1000)
    async with stage.watch(stage.static("a")) as family:
        async with trio.open_nursery() as nursery:

            async def start() -> None:
                with pytest.raises(ActorDead):
                    await family.ref.start_child(stage.probe("slow"))

            nursery.start_soon(start)
            await settle()
            begun = trio.current_time()
            await family.system.root.terminate_child("sup")
        assert trio.current_time() == begun
        assert stage.journal == ["start a", "stop a"]
        assert await family.ended() == ShutdownExit()


INTERRUPTED = """
import os, signal, sys, trio
from mission_control.supervisor import Actor, ChildSpec, open_system

class Probe(Actor):
    def receive(self, msg):
        os.kill(os.getpid(), signal.SIGINT)
        while True: pass  # only a signal ends this
    async def stopped(self, reason):
        await trio.sleep(0.01)
        print("stopped", self.ctx.path)

async def main():
    async with open_system("top", on_event=lambda event: None) as system:
        for name in ("a", "b"):
            ref = await system.root.start_child(ChildSpec(name, Probe, lane=sys.argv[1]))
        if sys.argv[2] == "handler":
            ref.tell("go")
        else:
            os.kill(os.getpid(), signal.SIGINT)
        await trio.sleep_forever()

try:
    trio.run(main)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["handler", "block"])
def test_x25_a_real_interrupt_stops_everything_in_order(lane: str, where: str) -> None:
    command = [sys.executable, "-c", INTERRUPTED, lane, where]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    assert lines[-1] == "interrupted"
    assert lines[-3:-1] == ["stopped top/b", "stopped top/a"]
    assert done.stderr == ""
