"""What is particular about the two lanes: tasks, turns, and answers without either."""

from __future__ import annotations

import contextvars
import math
from collections.abc import Iterator
from typing import Any

import pytest
import trio
import trio.lowlevel

from mission_control.supervisor import (
    Actor,
    ActorCrashed,
    AlreadyStarted,
    BadSpec,
    ChildSpec,
    ChildStarted,
    ChildTerminated,
    Context,
    Crash,
    Deferred,
    GaveUp,
    Intensity,
    NotSupported,
    Ref,
    Reply,
    ShutdownExit,
    StartError,
    StartFailed,
    SupervisorGaveUp,
)
from mission_control.supervisor import _shared as shared_module
from mission_control.supervisor import _solo as solo_module

from .stage import Boom, Stage, settle

CITY = contextvars.ContextVar("CITY", default="nowhere")


class Plain(Actor[Any]):
    """Has neither hooks nor a handler that awaits: nothing that needs a task."""

    def __init__(self, heard: list[Any] | None = None) -> None:
        self._heard = heard if heard is not None else []
        CITY.set(f"{CITY.get()}+")
        self._city = CITY.get()

    def receive(self, msg: Any) -> Any:
        self._heard.append(msg)
        match msg:
            case "crash":
                raise Boom
            case "city":
                CITY.set("changed")
                return self._city
            case "stop":
                self.ctx.stop()
            case "self":
                self.ctx.self.tell("from myself")
            case "reply":
                self.ctx.reply("replied")
            case "error":
                return Reply(error=KeyError("expected"))
            case "coroutine":
                return _nothing()
            case ("stash", _):
                self.ctx.stash()
            case "unstash":
                self.ctx.unstash_all()
            case _:
                pass
        return msg


async def _nothing() -> None:
    await trio.lowlevel.checkpoint()


def _tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


async def test_only_the_own_lane_takes_tasks(stage: Stage) -> None:
    async with stage.system() as system:
        before = _tasks()
        for number in range(10):
            ref = await system.root.start_child(stage.child(f"a{number}", Plain))
            assert await ref.ask("hello") == "hello"
        assert _tasks() - before == (10 if stage.lane == "own" else 0)


async def test_a_supervisor_on_the_shared_lane_has_a_task_only_while_it_acts(stage: Stage) -> None:
    async with stage.watch(stage.static("a", "b")) as family:
        own = stage.lane == "own"
        idle = _tasks()
        stage.knob("c", start_takes=1.0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(family.ref.start_child, stage.probe("c"))
            await settle()
            # The one that waits for the start; the start itself; and the supervisor.
            assert _tasks() - idle == 3 - own
        await family.ref.terminate_child("c")
        assert [child.id for child in await family.ref.children()] == ["c", "b", "a"]
        assert _tasks() == idle


async def test_a_restart_leaves_nothing_of_the_old_incarnation(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("a", Plain))
        ref.tell("stop")
        await settle()
        CITY.set("of somebody else")
        assert await ref.ask("city") == "nowhere+"
        ref.tell("crash")
        await settle()
        assert await ref.ask("city") == "nowhere+"
        assert ref.incarnation == 3
        assert [event.offender.incarnation for event in stage.of_kind(ChildStarted)] == [1, 2, 3]
        assert [event.offender.incarnation for event in stage.of_kind(ChildTerminated)] == [1, 2]


async def test_restarts_in_place_count_as_all_others(stage: Stage) -> None:
    spec = stage.child("a", Plain)
    async with stage.watch(stage.static(spec, intensity=Intensity(2))) as family:
        ref = await family.child("a")
        for message in ("crash", "crash", "between", "crash", "after"):
            ref.tell(message)
        reason = await family.ended()
        assert isinstance(reason, ShutdownExit)
        assert isinstance(reason.info, SupervisorGaveUp)
        assert len(stage.of_kind(GaveUp)) == 1
        assert [letter.message for letter in family.system.dead_letters] == ["after"]


async def test_an_init_that_fails_at_a_restart_is_tried_again(stage: Stage) -> None:
    fails: Iterator[bool] = iter([False, True, True, False])

    class Moody(Plain):
        def __init__(self) -> None:
            super().__init__()
            if next(fails):
                raise Boom

    spec = stage.child("a", Moody)
    async with stage.watch(stage.static(spec, intensity=Intensity(3))) as family:
        ref = await family.child("a")
        ref.tell("crash")
        assert await ref.ask("hello") == "hello"
        assert ref.incarnation == 4


async def test_a_monitor_hears_of_each_end_although_the_task_goes_on(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("a", Plain))
        for number in (1, 2):
            async with ref.monitor() as down:
                ref.tell("crash")
                notice = await down.wait()
            assert notice.incarnation == number
            assert isinstance(notice.exit, Crash)


@pytest.mark.parametrize("message", ["crash", "coroutine"])
async def test_x09_who_asks_an_idle_actor_hears_of_its_crash(stage: Stage, message: str) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("a", Plain))
        if message == "coroutine" and stage.lane == "own":
            assert await ref.ask(message) is None
            return
        with pytest.raises(ActorCrashed) as caught:
            await ref.ask(message)
        assert isinstance(caught.value.__cause__, NotSupported if message != "crash" else Boom)
        assert await ref.ask("next") == "next"
        assert ref.incarnation == 2


async def test_an_idle_actor_answers_in_every_way_there_is(stage: Stage) -> None:
    heard: list[Any] = []
    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("a", Plain, args=(heard,)))
        assert await ref.ask("reply") == "replied"
        with pytest.raises(KeyError):
            await ref.ask("error")
        await ref.ask("self")
        answers = []
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                answers.append(await ref.ask(("stash", 1)))

            nursery.start_soon(ask)
            await settle()
            nursery.cancel_scope.deadline = trio.current_time() + 5
            await ref.ask("unstash")
        assert answers == []  # it stashes the message for ever
        assert heard.count(("stash", 1)) >= 1
        assert "from myself" in heard


async def test_a_question_put_off_by_an_idle_actor_is_answered_later(stage: Stage) -> None:
    waiting: list[Deferred] = []

    class Later(Actor[Any]):
        def receive(self, msg: Any) -> Any:
            waiting.append(self.ctx.defer())
            if msg == "crash":
                raise Boom

    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("a", Later))
        answers = []
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                answers.append(await ref.ask("later"))

            nursery.start_soon(ask)
            await settle()
            waiting[0].answer("now")
        assert answers == ["now"]
        with pytest.raises(ActorCrashed):
            await ref.ask("crash")


async def test_many_questions_put_off_by_an_idle_actor_keep_their_askers(stage: Stage) -> None:
    waiting: list[tuple[int, Deferred]] = []

    class Later(Actor[int]):
        def receive(self, msg: int) -> None:
            waiting.append((msg, self.ctx.defer()))

    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("a", Later))
        answers: dict[int, int] = {}
        async with trio.open_nursery() as nursery:

            async def ask(number: int) -> None:
                answers[number] = await ref.ask(number)

            for number in range(200):
                nursery.start_soon(ask, number)
            await settle()
            for number, deferred in waiting:
                deferred.answer(-number)
        assert answers == {number: -number for number in range(200)}


@pytest.mark.parametrize("idle", [True, False])
async def test_a_start_is_refused_alike_by_an_idle_and_by_a_busy_supervisor(
    stage: Stage, idle: bool
) -> None:
    class Broken(Plain):
        def __init__(self) -> None:
            raise Boom

    async with stage.watch(stage.static(stage.child("a", Plain, register="n"))) as family:
        refused = [
            (stage.child("a", Plain), AlreadyStarted),
            (stage.child("b", Plain, register="n"), AlreadyStarted),
            (stage.child("c", Broken), StartFailed),
        ]
        for spec, error in refused:
            if not idle:
                family.ref.tell("something to do")
            with pytest.raises(error):
                await family.ref.start_child(spec)
        assert await family.kids() == [("a", "running")]
        assert len(stage.of_kind(StartError)) == 1
        with trio.CancelScope() as scope:
            scope.cancel()
            await family.ref.start_child(stage.child("d", Plain))
        assert scope.cancelled_caught
        assert await family.kids() == [("a", "running")]


async def test_questions_without_switches_let_others_have_their_turn(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("a", Plain))
        asked = 0
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                nonlocal asked
                while True:
                    await ref.ask("again")
                    asked += 1

            nursery.start_soon(ask)
            for _ in range(10):
                await trio.lowlevel.checkpoint()
            assert 0 < asked <= 10 * 64
            nursery.cancel_scope.cancel()


async def test_x05_asking_is_a_cancel_point_on_either_lane(stage: Stage) -> None:
    heard: list[Any] = []
    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("a", Plain, args=(heard,)))
        with trio.CancelScope() as scope:
            scope.cancel()
            await ref.ask("never")
        assert scope.cancelled_caught
        await settle()
        assert heard == []


async def test_x07_a_slow_handler_ends_its_batch_early(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    for module in (solo_module, shared_module):
        monkeypatch.setattr(module, "perf_counter", lambda: now)

    class Slow(Actor[Any]):
        def receive(self, msg: Any) -> None:
            nonlocal now
            now += 0.0005
            stage.received.append(msg)

    async with stage.system() as system:
        refs: list[Ref[Any]] = [
            await system.root.start_child(stage.child(name, Slow, capacity=math.inf))
            for name in ("a", "b")
        ]
        for number in range(64):
            for ref in refs:
                ref.tell(number)
        await trio.lowlevel.checkpoint()
        # Of the 64 that a batch may have: eight on a lane of one's own, one turn of sixteen or so.
        assert len(stage.received) <= 2 * (8 if stage.lane == "own" else 64)


async def test_x07_actors_on_the_shared_lane_take_turns(stage: Stage) -> None:
    heard: list[Any] = []
    async with stage.system() as system:
        refs = [
            await system.root.start_child(stage.child(name, Plain, args=(heard,), capacity=1000))
            for name in ("busy", "other")
        ]
        for number in range(500):
            refs[0].tell(number)
        refs[1].tell("turn")
        await settle()
        assert heard.index("turn") <= 64


def test_s11_the_shared_lane_is_for_plain_functions() -> None:
    class Async(Actor[Any]):
        async def receive(self, msg: Any) -> None:
            await trio.lowlevel.checkpoint()

    async def function(ctx: Context[Any]) -> None:
        await trio.lowlevel.checkpoint()

    for start in (Async, function):
        with pytest.raises(BadSpec) as caught:
            ChildSpec("a", start, lane="shared")
        assert caught.value.field == "lane"
    with pytest.raises(BadSpec):
        ChildSpec("a", Plain, lane="middle")  # type: ignore[arg-type]


async def test_only_a_function_has_an_inbox(stage: Stage) -> None:
    class Curious(Actor[Any]):
        def receive(self, msg: Any) -> Any:
            with pytest.raises(NotSupported):
                self.ctx.inbox  # noqa: B018 - it raises
            return "refused"

    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("a", Curious))
        assert await ref.ask("look") == "refused"


async def test_an_idle_actor_has_no_queue(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("a", Plain))
        ref.tell("hello")
        await settle()
        if stage.lane == "shared":
            assert ref._mailbox.queue.maxlen == 0
