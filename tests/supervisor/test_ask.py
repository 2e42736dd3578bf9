"""Questions: each is answered, or fails; none hangs."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.lowlevel

from mission_control.supervisor import (
    Actor,
    ActorCrashed,
    ActorDead,
    AskTimeout,
    ChildSpec,
    Context,
    DeadlockError,
    Deferred,
    MailboxFull,
    NotSupported,
    Ref,
    Reply,
    Restart,
)

from .stage import Boom, CrashNow, Finish, Say, Stage, Work, own_lane, settle


class Clerk(Actor[Any]):
    """Puts questions off, and hands them to the test."""

    def __init__(self, waiting: list[Deferred]) -> None:
        self._waiting = waiting

    def receive(self, msg: Any) -> Any:
        match msg:
            case "crash":
                raise Boom
            case "finish":
                self.ctx.stop()
            case "fail":
                return Reply(error=KeyError("expected"))
            case "wrap":
                return Reply("wrapped")
            case _:
                self._waiting.append(self.ctx.defer())
        return "ignored"


async def _ask_in(nursery: trio.Nursery, ref: Ref[Any], message: Any, results: list[Any]) -> None:
    async def ask() -> None:
        try:
            results.append(await ref.ask(message, timeout=None))
        except (ActorDead, ActorCrashed, Boom, MailboxFull) as error:
            results.append(type(error))

    nursery.start_soon(ask)
    await settle()


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_x08_the_return_value_is_the_answer(stage: Stage, asynchronous: bool) -> None:
    class Plain(Actor[int]):
        def receive(self, msg: int) -> int:
            return msg + 1

    class Async(Actor[int]):
        async def receive(self, msg: int) -> int:
            await trio.lowlevel.checkpoint()
            return msg + 1

    async with stage.system() as system:
        ref = await system.root.start_child(ChildSpec("a", Async if asynchronous else Plain))
        assert await ref.ask(1) == 2
        assert await ref.ask(2, timeout=None) == 3


async def test_x09_a_crash_fails_the_question_in_hand_only(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(stage.probe("p"))
        with pytest.raises(ActorCrashed) as caught:
            await ref.ask(CrashNow())
        assert isinstance(caught.value.__cause__, Boom)
        assert await ref.ask(Say("next")) == ("next",)


async def test_x10_asking_the_dead_fails_without_waiting(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(stage.probe("p"))
        await system.root.terminate_child("p")
        begun = trio.current_time()
        for ask in (ref.ask, ref.send):
            with pytest.raises(ActorDead):
                await ask("hello")
        with pytest.raises(ActorDead):
            await ref.get_state()
        assert trio.current_time() == begun


@own_lane("its handler awaits")
async def test_x12_an_answer_after_the_timeout_is_a_dead_letter(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(stage.probe("p"))
        begun = trio.current_time()
        with pytest.raises(AskTimeout):
            await ref.ask(Work(10), timeout=5)
        assert trio.current_time() - begun == 5.0
        await trio.sleep(6)
        assert system.dead_letters.counts["late"] == 1
        assert await ref.ask(Say()) == (None,)
        assert ref.incarnation == 1


@own_lane("its handler awaits")
async def test_x13_the_answer_to_one_who_left_is_dropped_quietly(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(stage.probe("p"))
        with trio.move_on_after(1):
            await ref.ask(Work(10), timeout=None)
        await trio.sleep(20)
        assert len(system.dead_letters) == 0
        assert stage.journal == ["start p", "worked p"]


async def test_x14_asking_oneself_is_refused(stage: Stage) -> None:
    class Narcissus(Actor[str]):
        async def receive(self, msg: str) -> Any:
            with pytest.raises(DeadlockError):
                await self.ctx.self.ask("me?")
            return "no"

    async with stage.system() as system:
        ref = await system.root.start_child(ChildSpec("n", Narcissus))
        assert await ref.ask("you?") == "no"


async def test_a_reply_may_raise_without_a_crash(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("c", Clerk, args=([],)))
        with pytest.raises(KeyError, match="expected"):
            await ref.ask("fail")
        assert await ref.ask("wrap") == "wrapped"
        ref.tell("fail")
        await settle()
        assert ref.incarnation == 1


@own_lane("its handler awaits")
async def test_a_full_mailbox_makes_a_question_wait_within_its_timeout(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(stage.probe("p", capacity=1))
        ref.tell(Work(10))
        await settle()
        ref.tell("fills it")
        with pytest.raises(AskTimeout):
            await ref.ask(Say("never handled"), timeout=4)
        begun = trio.current_time()
        assert await ref.ask(Say("late"), timeout=10) == ("late",)
        assert trio.current_time() - begun == 6
        assert stage.received == ["fills it"]


async def test_a_deferred_question_is_answered_once_from_anywhere(stage: Stage) -> None:
    waiting: list[Deferred] = []
    results: list[Any] = []
    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("c", Clerk, args=(waiting,)))
        async with trio.open_nursery() as nursery:
            await _ask_in(nursery, ref, "later", results)
            await _ask_in(nursery, ref, "fails later", results)
            assert results == []
            waiting[0].answer("now")
            waiting[0].answer("twice")
            waiting[0].fail(Boom())
            waiting[1].fail(Boom())
        assert sorted(results, key=str) == [Boom, "now"] or results == ["now", Boom]
        assert not waiting[0].abandoned


async def test_deferring_a_message_that_was_told_goes_nowhere(stage: Stage) -> None:
    waiting: list[Deferred] = []
    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("c", Clerk, args=(waiting,)))
        ref.tell("later")
        await settle()
        assert not waiting[0].abandoned
        waiting[0].answer("nobody")
        assert len(system.dead_letters) == 0


async def test_a_deferred_question_shows_that_its_asker_left(stage: Stage) -> None:
    waiting: list[Deferred] = []
    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("c", Clerk, args=(waiting,)))
        with pytest.raises(AskTimeout):
            await ref.ask("timed out", timeout=1)
        with trio.move_on_after(1):
            await ref.ask("cancelled", timeout=None)
        assert [deferred.abandoned for deferred in waiting] == [True, True]
        waiting[0].answer("late")
        waiting[0].answer("later")
        waiting[1].answer("unheard")
        assert system.dead_letters.counts == {"late": 1}


@pytest.mark.parametrize(
    ("how", "expected"),
    [("crash", ActorCrashed), ("finish", ActorDead), ("kill", ActorDead), ("api", ActorDead)],
)
async def test_deferred_questions_fail_with_the_incarnation(
    stage: Stage, how: str, expected: type[Exception]
) -> None:
    waiting: list[Deferred] = []
    results: list[Any] = []
    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("c", Clerk, args=(waiting,)))
        async with trio.open_nursery() as nursery:
            await _ask_in(nursery, ref, "later", results)
            match how:
                case "kill":
                    ref.kill()
                case "api":
                    await system.root.terminate_child("c")
                case _:
                    ref.tell(how)
        assert results == [expected]
        waiting[0].answer("too late")  # harmless


async def test_a_stop_hook_can_still_answer(stage: Stage) -> None:
    class Closing(Actor[str]):
        def receive(self, msg: str) -> None:
            self.deferred = self.ctx.defer()

        async def stopped(self, reason: Any) -> None:
            self.deferred.answer("at the last moment")

    results: list[Any] = []
    async with stage.system() as system:
        ref = await system.root.start_child(stage.child("c", Closing))
        async with trio.open_nursery() as nursery:
            await _ask_in(nursery, ref, "when?", results)
            await system.root.terminate_child("c")
        assert results == ["at the last moment"]


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("restart", [Restart.PERMANENT, Restart.TEMPORARY])
async def test_queued_questions_outlive_a_crash_only_with_their_mailbox(
    stage: Stage, keep: bool, restart: Restart
) -> None:
    results: list[Any] = []
    spec = stage.probe("p", mailbox="keep" if keep else "drop", restart=restart)
    async with stage.system() as system:
        ref = await system.root.start_child(spec)
        ref.suspend()
        async with trio.open_nursery() as nursery:
            await _ask_in(nursery, ref, CrashNow(), results)
            await _ask_in(nursery, ref, Say("queued"), results)
            ref.resume()
        survives = keep and restart is Restart.PERMANENT
        assert results == [ActorCrashed, ("queued",) if survives else ActorDead] or (
            not survives
            and sorted(map(str, results)) == sorted(map(str, [ActorCrashed, ActorDead]))
        )


@own_lane("its handler awaits")
async def test_an_interrupted_question_fails(stage: Stage) -> None:
    results: list[Any] = []
    async with stage.system() as system:
        ref = await system.root.start_child(stage.probe("p"))
        async with trio.open_nursery() as nursery:
            await _ask_in(nursery, ref, Work(100), results)
            await system.root.terminate_child("p")
        assert results == [ActorDead]


async def test_drop_old_fails_the_question_it_drops(stage: Stage) -> None:
    results: list[Any] = []
    async with stage.system() as system:
        ref = await system.root.start_child(stage.probe("p", capacity=1, overflow="drop_old"))
        ref.suspend()
        async with trio.open_nursery() as nursery:
            await _ask_in(nursery, ref, Say("x"), results)
            ref.tell("newer")
        assert results == [MailboxFull]
        ref.resume()


async def test_a_function_actor_answers_or_the_next_message_does(stage: Stage) -> None:
    async def echo(ctx: Context[Any]) -> None:
        async for message in ctx.inbox:
            if message == "answer":
                ctx.reply("answered")
            if message == "end":
                return

    results: list[Any] = []
    async with stage.system() as system:
        spec = ChildSpec("echo", echo, restart=Restart.TEMPORARY)
        ref = await system.root.start_child(spec)
        assert await ref.ask("answer") == "answered"
        assert await ref.ask("silence") is None
        with pytest.raises(NotSupported):
            await ref.get_state()
        async with trio.open_nursery() as nursery:
            await _ask_in(nursery, ref, "end", results)
        assert results == [ActorDead]


async def test_defer_is_for_a_message_in_hand(stage: Stage) -> None:
    class Early(Actor[Any]):
        async def started(self) -> None:
            with pytest.raises(RuntimeError):
                self.ctx.defer()

    async with stage.system() as system:
        assert await system.root.start_child(stage.child("e", Early)) is not None


async def test_an_actor_that_finishes_answers_first(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(stage.probe("p", restart=Restart.TEMPORARY))
        assert await ref.ask(Finish()) is None
        await settle()
        assert not ref.alive


async def test_ten_thousand_questions_leave_no_timers(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(stage.probe("p"))
        for _ in range(1000):
            await ref.ask(Say(), timeout=5)
        begun = trio.current_time()
        await trio.lowlevel.checkpoint()
        assert trio.current_time() == begun
        await trio.sleep(6)
        assert await ref.ask(Say(), timeout=0.5) == (None,)
