"""Telling, sending, and what becomes of messages that nobody handles."""

from __future__ import annotations

import math
from typing import Any

import pytest
import trio

from mission_control.supervisor import (
    Actor,
    ActorDead,
    Backoff,
    ChildSpec,
    ChildTerminated,
    Context,
    MailboxFull,
    Ref,
    Restart,
    StashFull,
    System,
    Traced,
)

from .stage import CrashNow, Finish, Say, Stage, Work, own_lane, settle


async def _start(system: System, spec: ChildSpec) -> Ref[Any]:
    ref: Ref[Any] = await system.root.start_child(spec)
    return ref


def _reasons(system: System) -> list[tuple[Any, str]]:
    return [(letter.message, letter.reason) for letter in system.dead_letters]


async def test_x01_messages_of_one_sender_keep_their_order(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await _start(system, stage.probe("p"))
        for number in range(1000):
            ref.tell(number)
        await settle()
        assert stage.received == list(range(1000))


async def test_x02_telling_the_dead_is_a_dead_letter(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await _start(system, stage.probe("p"))
        await system.root.terminate_child("p")
        ref.tell("hello")
        (letter,) = system.dead_letters
        assert (letter.ref, letter.message, letter.reason) == (ref, "hello", "dead")
        assert system.dead_letters.counts["dead"] == len(system.dead_letters) == 1


@pytest.mark.parametrize(
    ("overflow", "kept"),
    [("fail", [1, 2, 3]), ("block", [1, 2, 3]), ("drop_new", [1, 2, 3]), ("drop_old", [3, 4, 5])],
)
async def test_x03_a_full_mailbox_does_as_its_policy_says(
    stage: Stage, overflow: Any, kept: list[int]
) -> None:
    async with stage.system() as system:
        ref = await _start(system, stage.probe("p", capacity=3, overflow=overflow))
        ref.suspend()
        for number in range(1, 6):
            if overflow in {"fail", "block"} and number > 3:
                with pytest.raises(MailboxFull):
                    ref.tell(number)
            else:
                ref.tell(number)
        ref.resume()
        await settle()
        assert stage.received == kept
        lost = sorted({1, 2, 3, 4, 5} - set(kept))
        assert _reasons(system) == [(number, "full") for number in lost]


@own_lane("its handler awaits")
async def test_x04_senders_wait_for_room_and_are_served_in_turn(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await _start(system, stage.probe("p", capacity=1))
        ref.tell(Work(10))
        await settle()
        sent = []

        async def send(number: int) -> None:
            await ref.send(number)
            sent.append((number, trio.current_time()))

        async with trio.open_nursery() as nursery:
            begun = trio.current_time()
            for number in range(4):
                nursery.start_soon(send, number)
                await settle()
            assert sent == [(0, begun)]
        await settle()
        assert stage.received == [0, 1, 2, 3]
        assert [when - begun for _, when in sent] == [0, 10, 10, 10]


@own_lane("its handler awaits")
async def test_x04_a_sender_that_is_cancelled_leaves_nothing(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await _start(system, stage.probe("p", capacity=1))
        ref.tell(Work(10))
        await settle()
        ref.tell("queued")
        with trio.move_on_after(1) as scope:
            await ref.send("cancelled")
        assert scope.cancelled_caught
        await trio.sleep(10)
        assert stage.received == ["queued"]


async def test_x04_a_sender_hears_of_the_end_of_the_child(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await _start(system, stage.probe("p", capacity=1))
        ref.suspend()
        ref.tell("queued")

        async def send() -> None:
            with pytest.raises(ActorDead):
                await ref.send("waiting")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await settle()
            await system.root.terminate_child("p")
        assert _reasons(system) == [("queued", "dead")]


async def test_x05_sending_under_a_cancelled_scope_leaves_nothing(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await _start(system, stage.probe("p"))
        with trio.CancelScope() as scope:
            scope.cancel()
            ref.tell("told")
            await ref.send("sent")
        assert scope.cancelled_caught
        await settle()
        assert stage.received == ["told"]


@pytest.mark.parametrize("how", ["stop", "poison"])
async def test_x06_stop_overtakes_the_queue_and_poison_does_not(stage: Stage, how: str) -> None:
    spec = stage.probe("p", capacity=math.inf, restart=Restart.TEMPORARY)
    async with stage.system() as system:
        ref = await _start(system, spec)
        for number in range(1000):
            ref.tell(number)
        end = ref.stop if how == "stop" else ref.poison
        end()
        await settle()
        handled = 0 if how == "stop" else 1000
        assert len(stage.received) == handled
        assert system.dead_letters.counts["dead"] == 1000 - handled
        assert not ref.alive


async def test_x07_a_backlog_does_not_starve_others(stage: Stage) -> None:
    class Other(Actor[str]):
        def receive(self, msg: str) -> None:
            stage.received.append(msg)

    async with stage.system() as system:
        busy = await _start(system, stage.probe("p", capacity=math.inf))
        other = await _start(system, stage.child("other", Other))
        for number in range(1000):
            busy.tell(number)
        other.tell("turn")
        await settle()
        assert stage.received.index("turn") <= 64


async def test_queued_messages_wait_for_the_next_incarnation(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await _start(system, stage.probe("p"))
        for message in ("before", CrashNow(), "after"):
            ref.tell(message)
        await settle()
        assert stage.received == ["before", "after"]
        assert ref.incarnation == 2


async def test_a_dropped_mailbox_goes_to_the_dead_letters(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await _start(system, stage.probe("p", mailbox="drop"))
        for message in ("before", CrashNow(), "after"):
            ref.tell(message)
        await settle()
        assert stage.received == ["before"]
        assert _reasons(system) == [("after", "dropped_on_restart")]
        ref.tell("new")
        await settle()
        assert stage.received == ["before", "new"]


async def test_mail_for_a_child_that_waits_for_its_restart_is_kept(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await _start(system, stage.probe("p", backoff=Backoff(5, 5)))
        ref.tell(CrashNow())
        await settle()
        ref.tell("while away")
        begun = trio.current_time()
        assert await ref.ask(Say("x"), timeout=10) == ("x",)
        assert trio.current_time() - begun == 5
        assert stage.received == ["while away"]


async def test_x21_a_stash_keeps_order_and_askers(stage: Stage) -> None:
    class Gate(Actor[Any]):
        def __init__(self) -> None:
            self.open = False

        def receive(self, msg: Any) -> Any:
            if msg == "open":
                self.open = True
                self.ctx.unstash_all()
            elif not self.open:
                try:
                    self.ctx.stash()
                except StashFull:
                    stage.journal.append(f"full {msg}")
            else:
                stage.received.append(msg)
                return msg
            return None

    async with stage.system() as system:
        gate = await _start(system, stage.child("gate", Gate, capacity=3))
        answers = []

        async def ask() -> None:
            answers.append(await gate.ask("asked"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await settle()
            for message in (1, 2, 3):
                gate.tell(message)
                await settle()
            gate.tell("open")
            gate.tell("newer")
        await settle()
        assert stage.journal == ["full 3"]
        assert stage.received == ["asked", 1, 2, "newer"]
        assert answers == ["asked"]


async def test_x28_a_suspended_actor_answers_for_its_state_only(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await _start(system, stage.probe("p"))
        ref.suspend()
        for number in range(3):
            ref.tell(number)
        state = await ref.get_state()
        assert state["_id"] == "p"
        assert stage.received == []
        ref.resume()
        await settle()
        assert stage.received == [0, 1, 2]


async def test_a_suspended_actor_can_be_stopped(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await _start(system, stage.probe("p"))
        ref.suspend()
        begun = trio.current_time()
        await system.root.terminate_child("p")
        assert trio.current_time() == begun


async def test_a_function_actor_reads_its_inbox_until_it_is_stopped(stage: Stage) -> None:
    async def tail(ctx: Context[str]) -> None:
        async for message in ctx.inbox:
            stage.received.append(message)
        stage.journal.append("after the loop")

    async with stage.system() as system:
        ref = await _start(system, ChildSpec("tail", tail))
        for number in range(200):
            ref.tell(number)
        await settle()
        await system.root.terminate_child("tail")
        assert stage.received == list(range(200))
        assert stage.journal == ["after the loop"]


async def test_a_function_that_never_reads_its_inbox_can_be_stopped(stage: Stage) -> None:
    async def tick(_: Context[Any]) -> None:
        await trio.sleep_forever()

    async with stage.system() as system:
        ref = await _start(system, ChildSpec("tick", tick, restart=Restart.TEMPORARY))
        ref.stop()
        await settle()
        assert not ref.alive


async def test_two_tasks_cannot_read_one_inbox(stage: Stage) -> None:
    async def greedy(ctx: Context[Any]) -> None:
        async def read() -> None:
            with pytest.raises(trio.BusyResourceError):
                await ctx.inbox.__anext__()
            stage.journal.append("busy")

        ctx.start_soon(read)
        async for _ in ctx.inbox:
            pass

    async with stage.system() as system:
        await _start(system, ChildSpec("greedy", greedy))
        await settle()
    # Whichever came second was refused.
    assert stage.journal == ["busy"] or stage.of_kind(ChildTerminated)


async def test_finishing_lets_the_queue_die_with_a_temporary_child(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await _start(system, stage.probe("p", restart=Restart.TEMPORARY))
        for message in (Finish(), "late"):
            ref.tell(message)
        await settle()
        assert _reasons(system) == [("late", "dead")]


async def test_x03_a_full_mailbox_may_keep_the_newest_of_each_key(stage: Stage) -> None:
    spec = stage.probe("p", capacity=2, overflow="replace_key", key=lambda message: message[0])
    async with stage.system() as system:
        ref = await _start(system, spec)
        ref.suspend()
        messages: list[tuple[str, int]] = [("a", 1), ("a", 2), ("b", 1), ("a", 3)]
        for message in messages:
            if message[0] == "b":
                with pytest.raises(MailboxFull):
                    ref.tell(message)
            else:
                ref.tell(message)
        ref.resume()
        await settle()
        assert stage.received == [("a", 3), ("a", 2)]
        assert _reasons(system) == [(("b", 1), "full"), (("a", 1), "full")]


async def test_x02_a_lost_backlog_is_counted_in_full_and_kept_in_part(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await _start(system, stage.probe("p", capacity=math.inf))
        ref.suspend()
        for number in range(1000):
            ref.tell(number)
        await system.root.terminate_child("p")
        assert system.dead_letters.counts["dead"] == len(system.dead_letters) == 1000
        assert [letter.message for letter in system.dead_letters] == list(range(744, 1000))


async def test_x29_a_trace_sees_every_message_and_changes_nothing(stage: Stage) -> None:
    traced: list[Traced] = []
    async with stage.system() as system:
        ref = await _start(system, stage.probe("p"))
        ref.trace(traced.append)
        for number in range(9):
            ref.tell(number)
        assert await ref.ask(Say()) == (None,)
        assert [each.message for each in traced] == [*range(9), Say()]
        assert [each.asked for each in traced] == [False] * 9 + [True]
        assert stage.received == list(range(9))
        ref.tell(CrashNow())
        await settle()
        assert await ref.ask(Say()) == (None,)
        assert [(each.ref, each.incarnation) for each in traced[-2:]] == [(ref, 1), (ref, 2)]
        ref.trace(None)
        await ref.ask(Say())
        assert len(traced) == 12


async def test_x29_a_trace_that_raises_does_no_harm(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    def tracer(_: Traced) -> None:
        raise ValueError

    async with stage.system() as system:
        ref = await _start(system, stage.probe("p"))
        ref.trace(tracer)
        assert await ref.ask(Say("x")) == ("x",)
    assert "trace callback raised" in caplog.text


async def test_x29_a_function_is_traced_too(stage: Stage) -> None:
    async def tail(ctx: Context[str]) -> None:
        async for _ in ctx.inbox:
            pass

    traced: list[Traced] = []
    async with stage.system() as system:
        ref = await _start(system, ChildSpec("tail", tail))
        ref.trace(traced.append)
        ref.tell("seen")
        await settle()
        assert [each.message for each in traced] == ["seen"]
