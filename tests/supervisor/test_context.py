"""Timers, tasks, monitors and names of an incarnation end with it."""

from __future__ import annotations

import contextvars
from contextlib import AsyncExitStack
from typing import Any

import attrs
import pytest
import trio

from mission_control.supervisor import (
    Actor,
    ActorDead,
    Backoff,
    ChildSpec,
    ChildTerminated,
    Context,
    Crash,
    Down,
    Killed,
    NameTaken,
    Normal,
    Restart,
    Shutdown,
    ShutdownExit,
    Supervisor,
    Unkillable,
)

from .stage import Boom, CrashNow, Finish, Say, Stage, Work, own_lane, settle

CITY = contextvars.ContextVar("CITY", default="nowhere")


class Clock(Actor[Any]):
    """Notes what it gets, and when."""

    def __init__(self, seen: list[tuple[float, Any]]) -> None:
        self._seen = seen
        self._begun = trio.current_time()

    def receive(self, msg: Any) -> Any:
        match msg:
            case ("after", delay, what):
                return self.ctx.after(delay, what)
            case ("every", period, what):
                return self.ctx.every(period, what)
            case "crash":
                raise Boom
            case _:
                self._seen.append((trio.current_time() - self._begun, msg))
                return None


class BusyClock(Clock):
    """Takes its time over each."""

    def __init__(self, seen: list[tuple[float, Any]], busy: float) -> None:
        super().__init__(seen)
        self._busy = busy

    async def receive(self, msg: Any) -> Any:
        answer = super().receive(msg)
        if isinstance(msg, str):
            await trio.sleep(self._busy)
        return answer


async def test_x18_a_timer_delivers_once_unless_cancelled(stage: Stage) -> None:
    seen: list[Any] = []
    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("c", Clock, args=(seen,)))
        timer = await ref.ask(("after", 3, "cancelled"))
        await ref.ask(("after", 5, "five"))
        await ref.ask(("after", 2, "two"))
        timer.cancel()
        await trio.sleep(10)
        assert seen == [(2, "two"), (5, "five")]
        assert not timer.active


async def test_x18_a_message_of_a_cancelled_timer_is_not_handled(stage: Stage) -> None:
    seen: list[Any] = []
    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("c", Clock, args=(seen,)))
        timer = await ref.ask(("after", 1, "tick"))
        ref.suspend()
        await trio.sleep(2)
        timer.cancel()
        ref.resume()
        await settle()
        assert seen == []


async def test_x18_timers_do_not_reach_the_next_incarnation(stage: Stage) -> None:
    seen: list[Any] = []
    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("c", Clock, args=(seen,)))
        await ref.ask(("after", 5, "old"))
        await ref.ask(("after", 1, "queued"))
        await ref.ask(("every", 1, "tick"))
        ref.suspend()
        ref.tell("crash")
        await trio.sleep(2)
        ref.resume()
        await settle()
        assert ref.incarnation == 2
        await trio.sleep(20)
        assert seen == []


@own_lane("its handler awaits")
async def test_x19_a_period_does_not_drift(stage: Stage) -> None:
    seen: list[Any] = []
    async with stage.system() as system:
        ref = await system.root.start_child(ChildSpec("c", BusyClock, args=(seen, 0.3)))
        await ref.ask(("every", 1, "tick"))
        await trio.sleep(10.5)
        assert seen == [(float(second), "tick") for second in range(1, 11)]


@own_lane("its handler awaits")
async def test_x19_ticks_coalesce_when_the_handler_is_slow(stage: Stage) -> None:
    seen: list[Any] = []
    async with stage.system() as system:
        ref = await system.root.start_child(ChildSpec("c", BusyClock, args=(seen, 3.5)))
        await ref.ask(("every", 1, "tick"))
        await trio.sleep(12)
        assert [when for when, _ in seen] == [1, 4.5, 8, 11.5]


async def test_a_period_is_positive(stage: Stage) -> None:
    async def bad(ctx: Context[Any]) -> None:
        await trio.lowlevel.checkpoint()
        with pytest.raises(ValueError, match="period"):
            ctx.every(0, "tick")
        stage.journal.append("refused")

    async with stage.system() as system:
        await system.root.start_child(ChildSpec("b", bad, restart=Restart.TEMPORARY))
        await settle()
    assert stage.journal == ["refused"]


@pytest.mark.parametrize(
    ("how", "expected"), [("finish", Normal), ("crash", Crash), ("kill", Killed)]
)
@pytest.mark.parametrize("restart", [Restart.PERMANENT, Restart.TEMPORARY])
async def test_x15_a_monitor_hears_once_of_an_end(
    stage: Stage, restart: Restart, how: str, expected: type
) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(stage.probe("p", restart=restart))
        async with ref.monitor() as first, ref.monitor() as second:
            match how:
                case "kill":
                    ref.kill()
                case "crash":
                    ref.tell(CrashNow())
                case _:
                    ref.tell(Finish())
            down = await first.wait()
            assert isinstance(down.exit, expected)
            assert (down.ref, down.incarnation) == (ref, 1)
            assert down.final is (restart is Restart.TEMPORARY)
            assert await second.wait() == down == await first.wait()


async def test_x15_a_monitor_of_the_dead_hears_at_once(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(stage.probe("p"))
        await system.root.terminate_child("p")
        async with ref.monitor() as down:
            notice = await down.wait()
        assert (notice.exit, notice.final) == (ShutdownExit(), True)


class Watcher(Actor[Any]):
    """Monitors what it is told to, and notes what it hears."""

    def __init__(self, heard: list[Down]) -> None:
        self._heard = heard

    def receive(self, msg: Any) -> Any:
        match msg:
            case Down():
                self._heard.append(msg)
            case CrashNow():
                raise Boom
            case _:
                return self.ctx.monitor(msg, lambda down: down)
        return None


async def test_x15_an_actor_gets_the_notice_as_a_message(stage: Stage) -> None:
    heard: list[Down] = []
    async with stage.system() as system:
        watcher = await system.root.start_child(stage.child("w", Watcher, args=(heard,)))
        ref = await system.root.start_child(stage.probe("p"))
        await watcher.ask(ref)
        dropped = await watcher.ask(ref)
        dropped.cancel()
        ref.kill()
        await settle()
        ref.kill()
        await settle()
        assert [(down.exit, down.final) for down in heard] == [(Killed(), False)]


async def test_x15_a_restarted_watcher_hears_nothing_of_old_monitors(stage: Stage) -> None:
    heard: list[Down] = []
    async with stage.system() as system:
        watcher = await system.root.start_child(stage.child("w", Watcher, args=(heard,)))
        ref = await system.root.start_child(stage.probe("p"))
        await watcher.ask(ref)
        watcher.tell(CrashNow())
        await settle()
        ref.kill()
        await settle()
        assert heard == []


async def test_a_notice_that_cannot_be_made_crashes_the_watcher(stage: Stage) -> None:
    class Clumsy(Actor[Any]):
        def receive(self, msg: Any) -> None:
            def make(down: Down) -> Any:
                raise Boom

            self.ctx.monitor(msg, make)

    async with stage.system() as system:
        watcher = await system.root.start_child(stage.child("w", Clumsy))
        ref = await system.root.start_child(stage.probe("p"))
        watcher.tell(ref)
        await settle()
        ref.kill()
        await settle()
        assert (watcher.incarnation, ref.incarnation) == (2, 2)


async def test_a_monitor_of_a_child_in_backoff_hears_when_that_is_called_off(
    stage: Stage,
) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(stage.probe("p", backoff=Backoff(60, 60)))
        ref.tell(CrashNow())
        await settle()
        async with ref.monitor() as down:
            await system.root.terminate_child("p")
            assert (await down.wait()).final


async def test_tasks_end_before_the_stop_hook(stage: Stage) -> None:
    class Busy(Actor[Any]):
        async def started(self) -> None:
            self.ctx.start_soon(self._work)
            await settle()

        async def _work(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(0.5)
                stage.journal.append("task")

        async def stopped(self, reason: Any) -> None:
            stage.journal.append("hook")

    async with stage.system() as system:
        await system.root.start_child(stage.child("b", Busy))
        await system.root.terminate_child("b")
        assert stage.journal == ["task", "hook"]


async def test_a_task_that_raises_crashes_its_actor(stage: Stage) -> None:
    class Delegating(Actor[Any]):
        def receive(self, msg: Any) -> None:
            self.ctx.start_soon(self._fail)

        async def _fail(self) -> None:
            raise Boom

    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("d", Delegating))
        ref.tell("go")
        await settle()
        assert ref.incarnation == 2
        (event,) = stage.of_kind(ChildTerminated)
        assert isinstance(event.reason, Crash)
        assert isinstance(event.reason.error, Boom)


async def test_an_old_incarnation_is_gone_before_the_next_one_begins(stage: Stage) -> None:
    class Slow(Actor[Any]):
        async def started(self) -> None:
            stage.journal.append(f"start {self.ctx.incarnation}")
            self.ctx.start_soon(self._linger)

        def receive(self, msg: Any) -> None:
            raise Boom

        async def _linger(self) -> None:
            number = self.ctx.incarnation
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(3)
                stage.journal.append(f"gone {number}")

    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("s", Slow))
        await settle()
        ref.tell("crash")
        await trio.sleep(4)
        assert stage.journal == ["start 1", "gone 1", "start 2"]


async def test_x20_a_name_is_free_when_its_owner_ends(stage: Stage) -> None:
    async with stage.system() as system:
        ref: Any = await system.root.start_child(stage.probe("p", register="name"))
        other: Any = await system.root.start_child(stage.probe("q"))
        system.register("alias", ref)
        with pytest.raises(NameTaken):
            system.register("name", other)
        ref.kill()
        await settle()
        assert system.whereis("name") == ref
        assert await ref.ask(Say("x")) == ("x",)
        await system.root.terminate_child("p")
        assert (system.whereis("name"), system.whereis("alias")) == (None, None)
        system.register("name", other)
        with pytest.raises(ActorDead):
            system.register("dead", ref)


async def test_every_incarnation_has_the_context_of_whoever_started_the_child(
    stage: Stage,
) -> None:
    class Native(Actor[Any]):
        async def started(self) -> None:
            stage.journal.append(CITY.get())

        def receive(self, msg: Any) -> None:
            raise Boom

    async with stage.system() as system:
        CITY.set("Wakanda")
        ref = await system.root.start_child(stage.child("n", Native))
        CITY.set("elsewhere")
        ref.tell("crash")
        await settle()
        assert stage.journal == ["Wakanda", "Wakanda"]


@own_lane("its handler awaits")
async def test_x32_what_cannot_be_killed_is_told_of_and_awaited(stage: Stage) -> None:
    class Stubborn(Actor[Any]):
        async def receive(self, msg: Any) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)

    async with stage.system() as system:
        ref = await system.root.start_child(ChildSpec("s", Stubborn, shutdown=1.0))
        ref.tell("go")
        await settle()
        begun = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.root.terminate_child, "s")
            await trio.sleep(1.5)
            assert len(stage.of_kind(Unkillable)) == 1
        assert trio.current_time() - begun == 10


@own_lane("its handler awaits")
async def test_the_tree_shows_what_there_is(stage: Stage) -> None:
    async with stage.system() as system:
        await system.root.start_child(stage.static("a", "b"))
        sup = system.tree().children[0]
        assert [child.path for child in sup.children] == ["top/sup/a", "top/sup/b"]
        ref: Any = (await system.root.children())[0].ref
        worker = (await ref.children())[1].ref
        worker.tell(CrashNow())
        await settle()
        worker.tell(Work(100))
        await trio.sleep(7)
        worker.tell("waits")
        node = system.tree().children[0].children[0]
        assert (node.id, node.kind, node.state) == ("a", "worker", "running")
        assert (node.restarts, node.uptime_s, node.mailbox) == (1, 7, 1)
        assert node.last_error == "crash: Boom: a"


async def test_a_listener_that_raises_does_no_harm(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    def listener(event: Any) -> None:
        raise Boom

    async with stage.system(on_event=listener) as system:
        ref = await system.root.start_child(stage.probe("p"))
        ref.tell(CrashNow())
        assert await ref.ask(Say("x")) == ("x",)
    assert "on_event raised" in caplog.text


async def test_cancelled_timers_do_not_pile_up(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("c", Clock, args=([],)))
        for _ in range(1000):
            (await ref.ask(("after", 1000, "never"), timeout=None)).cancel()
        assert len(system.timers._heap) < 200


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_cleanup_is_shielded_from_a_stop_and_not_from_a_kill(
    stage: Stage, how: str
) -> None:
    async def careful(ctx: Context[Any]) -> None:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(clean, ctx)
            await trio.sleep_forever()

    async def clean(ctx: Context[Any]) -> None:
        async with ctx.cleanup(5):
            await trio.sleep(3)
            stage.journal.append("cleaned")

    async with stage.system() as system:
        spec = ChildSpec("c", careful, shutdown=10.0, restart=Restart.TEMPORARY)
        ref = await system.root.start_child(spec)
        await settle()
        begun = trio.current_time()
        async with ref.monitor() as down:
            if how == "kill":
                ref.kill()
            else:
                ref.stop()
            await down.wait()
        assert trio.current_time() - begun == (3 if how == "stop" else 0)
        assert stage.journal == (["cleaned"] if how == "stop" else [])


async def test_a_kill_lowers_a_shield_that_is_up(stage: Stage) -> None:
    async def stubborn(ctx: Context[Any]) -> None:
        while True:
            async with ctx.cleanup(1000):
                await trio.sleep_forever()

    async with stage.system() as system:
        await system.root.start_child(ChildSpec("c", stubborn, shutdown=2.0))
        await settle()
        begun = trio.current_time()
        await system.root.terminate_child("c")
        assert trio.current_time() - begun == 2
        assert stage.of_kind(Unkillable) == []


async def test_a_cleanup_has_an_end(stage: Stage) -> None:
    async def slow(ctx: Context[Any]) -> None:
        async with ctx.cleanup(2) as scope:
            await trio.sleep(100)
        stage.journal.append(f"cut short {scope.cancelled_caught}")

    async with stage.system() as system:
        await system.root.start_child(ChildSpec("c", slow, restart=Restart.TEMPORARY))
        await trio.sleep(3)
    assert stage.journal == ["cut short True"]


@own_lane("its handler awaits")
async def test_x32_a_supervisor_of_one_that_cannot_be_killed_is_told_of_too(stage: Stage) -> None:
    class Stubborn(Actor[Any]):
        async def receive(self, msg: Any) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)

    spec = attrs.evolve(stage.static(ChildSpec("s", Stubborn)), shutdown=Shutdown.BRUTAL_KILL)
    async with stage.watch(spec) as family:
        (await family.child("s")).tell("go")
        await settle()
        begun = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(family.system.root.terminate_child, "sup")
            await trio.sleep(1)
            assert [event.offender.id for event in stage.of_kind(Unkillable)] == ["s", "sup"]
        assert trio.current_time() - begun == 10


async def test_a_killed_tree_is_not_called_unkillable(stage: Stage) -> None:
    spec = stage.static("leaf")
    for number in range(5):
        spec = Supervisor.spec(f"level{number}", [spec])
    async with stage.watch(attrs.evolve(spec, shutdown=Shutdown.BRUTAL_KILL)) as family:
        await family.system.root.terminate_child(spec.id)
        assert await family.ended() == Killed()
        assert stage.of_kind(Unkillable) == []
