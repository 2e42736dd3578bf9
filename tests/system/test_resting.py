"""What is not repeated for ever: attempts that are lost, attempts in which nothing moves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import attrs
import pytest
import trio

from mission_control import MissionControl
from mission_control.actors import Life, Outcome, OutcomeKind, PulseOrder, pulse_name
from mission_control.gateway_bridge import call
from mission_control.gateway_bridge._callers import of_agent
from mission_control.storage import US, ManualClock, PulsesOf, PulseState, TaskStatus
from rig import DONE, FAST, PATIENCE_S, Open, ScriptedRunner, crew, until

ME = "shuri:p"
INTERVAL_S = 600.0
CALM = attrs.evolve(FAST, interval_s=INTERVAL_S)
"""Its schedule is far away, and an hour is six of its times."""
HASTY = attrs.evolve(FAST, retry_delay_s=0.001)
"""Doubled ten times the pause is a second."""


async def nothing(order: PulseOrder, life: Life) -> Outcome:
    return DONE


async def new_task(mc: MissionControl, soul: str = "shuri", **more: Any) -> str:
    task = {"project_id": "p", "title": "Paint", "assignee_id": soul, **more}
    return str((await mc.call("mission.task.create", **task))["task_id"])


def rested(mc: MissionControl, runner: ScriptedRunner, attempts: int) -> Callable[[], bool]:
    """Whether so many attempts were made, and none is open."""

    def done() -> bool:
        newest = mc.mission.reads.newest_pulse(ME)
        ended = newest is not None and newest.state is PulseState.ENDED
        return ended and len(runner.orders) == attempts

    return done


def wait_s(mc: MissionControl, task_id: str) -> float:
    """How long a task waits after its last attempt."""
    pulse, task = mc.mission.reads.newest_pulse(ME), mc.mission.reads.task(task_id)
    assert pulse is not None
    assert pulse.ended_at is not None
    assert task.not_before is not None
    return (task.not_before - pulse.ended_at) / US


async def begin(mc: MissionControl, runner: ScriptedRunner, clock: ManualClock) -> str:
    """Give shuri a task, and let her make her first attempt at it a second later."""
    await crew(mc, "shuri", "okoye")
    for agent_id in (ME, "okoye:p"):
        await mc.call("mission.agent.pause", instance_id=agent_id)
    task_id = await new_task(mc)
    clock.advance(1)
    await mc.call("mission.agent.resume", instance_id=ME)
    await until(mc, rested(mc, runner, 1))
    return task_id


async def attempt(
    mc: MissionControl, runner: ScriptedRunner, clock: ManualClock, times: int = 1
) -> None:
    """Ask for further attempts, a second after each other: else the clock stands still."""
    for number in range(len(runner.orders) + 1, len(runner.orders) + times + 1):
        clock.advance(1)
        await mc.call("mission.agent.trigger", instance_id=ME)
        await until(mc, rested(mc, runner, number))


async def test_a_task_whose_attempts_are_lost_again_and_again_is_put_before_a_human(
    open_home: Open,
) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        return Outcome(OutcomeKind.LOST, "the host was started again")

    runner = ScriptedRunner(script)
    async with open_home(runner, HASTY) as mc:
        await crew(mc, "shuri")
        task_id = await new_task(mc)
        await until(mc, lambda: mc.mission.reads.task(task_id).status is TaskStatus.BLOCKED)
        assert [order.attempt for order in runner.orders] == [1, 2, 3, 4, 5, 6, 7, 8]
        (asked,) = (await mc.call("mission.help.list"))["help_requests"]
        assert "8 in a row were lost with what ran them" in asked["issue"]
        await mc.call("mission.help.answer", help_id=asked["id"], answer="Try again.")
        await until(mc, lambda: mc.mission.reads.task(task_id).status is TaskStatus.BLOCKED)
        assert len(runner.orders) == 11


@pytest.mark.parametrize("kind", ["work", "message"])
async def test_after_each_attempt_that_is_lost_the_pause_is_twice_as_long(
    open_home: Open, kind: str
) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        return Outcome(OutcomeKind.LOST, "the host was started again")

    runner = ScriptedRunner(script)
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.agent.pause", instance_id=ME)
        await mc.call("mission.agent.message", instance_id=ME, text="hello")
        if kind == "work":
            await new_task(mc)
        await mc.call("mission.agent.resume", instance_id=ME)
        await until(mc, lambda: [order.kind for order in runner.orders].count(kind) == 5)
        pulses = mc.mission.reads.pulses(PulsesOf("agent_id", ME), None, 50)[::-1]
        assert {pulse.kind.value for pulse in pulses} == {kind}
        begun = [pulse.started_at / US for pulse in pulses]
        for number, (one, next_one) in enumerate(pairwise(begun)):
            assert next_one - one >= FAST.retry_delay_s * 2**number
        assert all(message.failures == 0 for message in mc.mission.reads.messages(ME))


async def test_messages_are_not_shown_for_ever_to_attempts_that_are_lost(open_home: Open) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        return Outcome(OutcomeKind.LOST, "the host was started again")

    runner = ScriptedRunner(script)
    async with open_home(runner, HASTY) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.agent.message", instance_id=ME, text="hello")
        await until(mc, lambda: mc.mission.reads.messages(ME)[0].failures == 3)
        assert [order.kind for order in runner.orders] == ["message"] * 8


async def test_what_the_host_refuses_to_begin_is_offered_ever_more_seldom(open_home: Open) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        return Outcome(OutcomeKind.NOT_STARTED, "too many requests")

    runner = ScriptedRunner(script)
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        task_id = await new_task(mc)
        await until(mc, lambda: len(runner.orders) == 5)
        begun = [pulse.started_at / US for pulse in mc.mission.reads.pulses_of_task(task_id)]
        for number, (one, next_one) in enumerate(pairwise(begun)):
            assert next_one - one >= FAST.retry_delay_s * 2**number
        task = mc.mission.reads.task(task_id)
        assert task.failures == 0


async def test_an_agent_in_whose_attempts_nothing_moves_rests_ever_longer(open_home: Open) -> None:
    runner, clock = ScriptedRunner(nothing), ManualClock()
    async with open_home(runner, CALM, clock) as mc:
        task_id = await begin(mc, runner, clock)
        assert wait_s(mc, task_id) <= INTERVAL_S
        await attempt(mc, runner, clock)
        assert wait_s(mc, task_id) <= INTERVAL_S
        await attempt(mc, runner, clock)
        assert INTERVAL_S <= wait_s(mc, task_id) <= 2 * INTERVAL_S
        await attempt(mc, runner, clock)
        assert 3 * INTERVAL_S <= wait_s(mc, task_id) <= 4 * INTERVAL_S
        told = (await mc.call("mission.task.why", task_id=task_id))["why"]
        assert told.startswith("Nothing moved in its last 4 attempts: its next pulse is due at ")
        await attempt(mc, runner, clock, 2)
        assert 5 * INTERVAL_S <= wait_s(mc, task_id) <= 3600.0
        assert mc.mission.reads.task(task_id).status is TaskStatus.IN_PROGRESS


async def test_how_often_nothing_moved_is_known_after_a_restart(open_home: Open) -> None:
    runner, clock = ScriptedRunner(nothing), ManualClock()
    async with open_home(runner, CALM, clock) as mc:
        task_id = await begin(mc, runner, clock)
        await attempt(mc, runner, clock, 2)
    async with open_home(runner, CALM, clock) as mc:
        told = (await mc.call("mission.task.why", task_id=task_id))["why"]
        assert "Nothing moved in its last 3 attempts" in told
        assert len(runner.orders) == 3
        await attempt(mc, runner, clock)
        assert 3 * INTERVAL_S <= wait_s(mc, task_id) <= 4 * INTERVAL_S


async def test_an_agent_that_rests_is_woken_by_what_is_said_of_its_task(open_home: Open) -> None:
    runner, clock = ScriptedRunner(nothing), ManualClock()
    async with open_home(runner, CALM, clock) as mc:
        task_id = await begin(mc, runner, clock)
        await attempt(mc, runner, clock, 3)
        clock.advance(1)
        await mc.call("mission.control.log_event", task_id=task_id, thought="The paint is here.")
        await until(mc, rested(mc, runner, 5))
        assert wait_s(mc, task_id) <= INTERVAL_S


async def test_agents_keep_to_their_schedules_where_they_are_told_to(open_home: Open) -> None:
    runner, clock = ScriptedRunner(nothing), ManualClock()
    unhurried = attrs.evolve(CALM, max_idle_interval_s=0.0)
    async with open_home(runner, unhurried, clock) as mc:
        task_id = await begin(mc, runner, clock)
        await attempt(mc, runner, clock, 4)
        assert wait_s(mc, task_id) <= INTERVAL_S


async def writes_a_file(mc: MissionControl, order: PulseOrder) -> None:
    (order.cwd / "module.py").write_text(f"ATTEMPT = {order.attempt}\n")


async def sends_a_message(mc: MissionControl, order: PulseOrder) -> None:
    identity = mc.mission.tokens.of_agent(order.agent_id)
    assert identity is not None
    params = {"instance_id": "okoye:p", "text": "Is it dry?"}
    await call(mc.mission, of_agent(identity), "mission.agent.message", params)


@pytest.mark.parametrize(
    ("deed", "told"),
    [
        (writes_a_file, "files in src/ were changed meanwhile"),
        (sends_a_message, "it called mission.agent.message"),
    ],
)
async def test_who_moves_something_elsewhere_than_on_its_task_does_not_rest(
    open_home: Open, deed: Callable[[MissionControl, PulseOrder], Any], told: str
) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        if order.soul == "shuri":
            await deed(running[0], order)
        return DONE

    runner, clock = ScriptedRunner(script), ManualClock()
    async with open_home(runner, CALM, clock) as mc:
        running = [mc]
        task_id = await begin(mc, runner, clock)
        await attempt(mc, runner, clock, 3)
        assert wait_s(mc, task_id) <= INTERVAL_S
        events = mc.mission.reads.events(task_id=task_id)
        assert [each.thought for each in events if each.kind == "progress"] == [
            f"attempt {number} ended: {told}" for number in range(1, 5)
        ]


async def test_files_are_nobodys_where_another_agent_of_the_project_is_at_work(
    open_home: Open,
) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        if order.soul == "shuri":
            await writes_a_file(running[0], order)
            return DONE
        at_work.set()
        await trio.sleep_forever()
        raise AssertionError

    runner, clock, at_work = ScriptedRunner(script), ManualClock(), trio.Event()
    async with open_home(runner, CALM, clock) as mc:
        running = [mc]
        task_id = await begin(mc, runner, clock)
        await new_task(mc, "okoye")
        await mc.call("mission.agent.resume", instance_id="okoye:p")
        with trio.fail_after(PATIENCE_S):
            await at_work.wait()
        for _ in range(4):
            made = len(mc.mission.reads.pulses_of_task(task_id))
            clock.advance(1)
            await mc.call("mission.agent.trigger", instance_id=ME)
            await until(mc, partial(has_ended, mc, task_id, made + 1))
        assert wait_s(mc, task_id) > INTERVAL_S
        told = [each.kind for each in mc.mission.reads.events(task_id=task_id)]
        assert told.count("progress") == 1


def has_ended(mc: MissionControl, task_id: str, attempts: int) -> bool:
    """Whether so many attempts at a task were made, and none is open."""
    pulses = mc.mission.reads.pulses_of_task(task_id)
    return len(pulses) == attempts and pulses[-1].state is PulseState.ENDED


async def test_who_moves_other_tasks_of_its_own_does_not_rest(open_home: Open) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        identity = running[0].mission.tokens.of_agent(order.agent_id)
        assert identity is not None
        params = {"task_id": parts[order.attempt - 1], "new_status": "done"}
        await call(running[0].mission, of_agent(identity), "mission.task.move", params)
        return DONE

    runner, clock = ScriptedRunner(script), ManualClock()
    async with open_home(runner, CALM, clock) as mc:
        running = [mc]
        await crew(mc, "shuri")
        await mc.call("mission.agent.pause", instance_id=ME)
        task_id = await new_task(mc, priority=1)
        parts = [await new_task(mc) for _ in range(5)]
        clock.advance(1)
        await mc.call("mission.agent.resume", instance_id=ME)
        await until(mc, rested(mc, runner, 1))
        await attempt(mc, runner, clock, 3)
        assert wait_s(mc, task_id) <= INTERVAL_S


async def test_an_agent_that_rests_is_woken_by_the_end_of_a_part_or_of_a_pause(
    open_home: Open,
) -> None:
    runner, clock = ScriptedRunner(nothing), ManualClock()
    async with open_home(runner, CALM, clock) as mc:
        task_id = await begin(mc, runner, clock)
        part = await new_task(mc, "okoye")
        await mc.call("mission.task.update", task_id=task_id, depends_on=[part])
        await until(mc, rested(mc, runner, 1))
        await attempt(mc, runner, clock, 3)
        assert wait_s(mc, task_id) > INTERVAL_S
        clock.advance(1)
        await mc.call("mission.task.move", task_id=part, new_status="done")
        await until(mc, rested(mc, runner, 5))
        await attempt(mc, runner, clock, 3)
        assert wait_s(mc, task_id) > INTERVAL_S
        clock.advance(1)
        await mc.call("mission.agent.pause", instance_id=ME)
        await mc.call("mission.agent.resume", instance_id=ME)
        await until(mc, rested(mc, runner, 9))


async def has_timer(mc: MissionControl, agent_id: str) -> bool:
    """Whether an agent that has looked for work will look again by itself."""
    actor = mc.mission.find(pulse_name(agent_id))
    with trio.fail_after(PATIENCE_S):
        while (state := await actor.get_state())["_busy"] or not state["_looked_at"]:  # noqa: ASYNC110
            await trio.sleep(0.01)  # of what is only in memory nobody tells
    return state["_timer"] is not None


async def test_agents_that_wait_for_another_task_or_an_answer_set_no_timer(open_home: Open) -> None:
    runner = ScriptedRunner(nothing)
    async with open_home(runner) as mc:
        await crew(mc, "shuri", "okoye", "nakia")
        await mc.call("mission.agent.pause", instance_id="nakia:p")
        asked = await new_task(mc, "nakia")
        # Once it is blocked, nobody looks at it any more.
        assert not await has_timer(mc, "nakia:p")
        await mc.call("mission.control.request_help", task_id=asked, issue="Which colour?")
        await mc.call("mission.agent.resume", instance_id="nakia:p")
        first = await new_task(mc)
        await new_task(mc, "okoye", depends_on=[first])
        await until(mc, rested(mc, runner, 1))
        assert await has_timer(mc, ME), "its task is in progress"
        assert not await has_timer(mc, "okoye:p")
        assert not await has_timer(mc, "nakia:p")
