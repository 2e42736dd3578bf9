"""Pulses, from the API's side: what starts them, what ends them, what comes after."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio

from mission_control import MissionControl
from mission_control.actors import Life, Outcome, OutcomeKind, PulseOrder
from mission_control.actors._status_text import RECENT_ATTEMPTS
from mission_control.storage import TaskStatus
from rig import DONE, FAST, Open, ScriptedRunner, crew, until


async def finish(mc: MissionControl, order: PulseOrder) -> Outcome:
    """Behave well: move the task to done, or distil."""
    if order.kind == "distill":
        await mc.call("mission.control.distill_memory", agent_id=order.agent_id, summary="x")
    elif order.task_id is not None:
        await mc.call("mission.task.move", task_id=order.task_id, new_status="done")
    return DONE


class Crew(ScriptedRunner):
    """A runner whose script may call the sidecar that it runs for."""

    mc: MissionControl


def well_behaved() -> ScriptedRunner:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        return await finish(runner.mc, order)

    runner = Crew(script)
    return runner


async def task(mc: MissionControl, project_id: str, title: str, soul: str, **more: Any) -> str:
    answer = await mc.call(
        "mission.task.create", project_id=project_id, title=title, assignee_id=soul, **more
    )
    return str(answer["task_id"])


def status(mc: MissionControl, task_id: str) -> TaskStatus:
    return mc.mission.reads.task(task_id).status


def rested(mc: MissionControl, task_id: str) -> bool:
    pulses = mc.mission.reads.pulses_of_task(task_id)
    return status(mc, task_id) is TaskStatus.DONE and all(p.ended_at for p in pulses)


async def test_a_task_that_is_assigned_is_worked_on_at_once(open_home: Open) -> None:
    runner = well_behaved()
    async with open_home(runner) as mc:
        runner.mc = mc  # type: ignore[attr-defined]
        project_id = await crew(mc, "shuri")
        task_id = await task(mc, project_id, "Login page", "shuri")
        await until(mc, lambda: status(mc, task_id) is TaskStatus.DONE)
        assert runner.orders[0].task_title == "Login page"
        assert f"(ID: {task_id})" in runner.orders[0].status_text


async def test_an_agent_with_nothing_to_do_causes_no_pulse(open_home: Open) -> None:
    runner = well_behaved()
    pulse = attrs.evolve(FAST, interval_s=0.02, tick_s=0.02)
    async with open_home(runner, pulse) as mc:
        await crew(mc, "shuri", "okoye")
        await trio.sleep(0.5)  # some fifty times of the schedule, in real time
        assert runner.orders == []


async def test_what_waits_for_a_task_starts_when_that_is_done(open_home: Open) -> None:
    runner = well_behaved()
    async with open_home(runner) as mc:
        runner.mc = mc  # type: ignore[attr-defined]
        project_id = await crew(mc, "shuri", "okoye")
        first = await task(mc, project_id, "first", "shuri")
        second = await task(mc, project_id, "second", "okoye", depends_on=[first])
        await until(mc, lambda: status(mc, second) is TaskStatus.DONE)
        titles = [order.task_title for order in runner.orders if order.kind == "work"]
        assert titles == ["first", "second"]


async def test_a_failing_task_is_tried_again_and_then_a_human_is_asked(open_home: Open) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        return Outcome(OutcomeKind.FAILED, f"no luck {order.attempt}")

    runner = ScriptedRunner(script)
    async with open_home(runner) as mc:
        project_id = await crew(mc, "shuri")
        task_id = await task(mc, project_id, "impossible", "shuri")
        await until(mc, lambda: status(mc, task_id) is TaskStatus.BLOCKED)
        assert [order.attempt for order in runner.orders] == [1, 2, 3]
        assert "attempt 1 ended because: failed, no luck 1" in runner.orders[1].status_text
        (asked,) = (await mc.call("mission.help.list"))["help_requests"]
        assert "3 attempts failed" in asked["issue"]
        following = await task(mc, project_id, "possible too", "shuri")
        await until(mc, lambda: runner.orders[-1].task_id == following)


@pytest.mark.slow
async def test_a_silent_attempt_is_ended_and_the_next_one_is_told_why(open_home: Open) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        if order.attempt == 1:
            await trio.sleep_forever()
        return await finish(runner.mc, order)

    runner = Crew(script)
    async with open_home(runner, attrs.evolve(FAST, deadman_s=3.0)) as mc:
        runner.mc = mc
        project_id = await crew(mc, "shuri")
        task_id = await task(mc, project_id, "hang", "shuri")
        await until(mc, lambda: rested(mc, task_id))
        first, second = mc.mission.reads.pulses_of_task(task_id)[:2]
        assert (first.outcome, second.outcome) == ("aborted", "succeeded")
        assert "silent for" in first.detail
        assert "attempt 2; attempt 1 ended because: aborted, silent" in runner.orders[1].status_text
        kinds = [event.kind for event in mc.mission.reads.events(task_id=task_id)]
        assert "deadman" in kinds


@pytest.mark.slow
async def test_an_attempt_that_shows_signs_of_life_is_not_ended(open_home: Open) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        for _ in range(20):
            await trio.sleep(0.2)
            life.sign("token")
        return await finish(runner.mc, order)

    runner = Crew(script)
    async with open_home(runner, attrs.evolve(FAST, deadman_s=3.0)) as mc:
        runner.mc = mc
        project_id = await crew(mc, "shuri")
        task_id = await task(mc, project_id, "long", "shuri")
        await until(mc, lambda: status(mc, task_id) is TaskStatus.DONE)
        assert len([order for order in runner.orders if order.kind == "work"]) == 1


async def test_an_attempt_over_its_time_is_ended(open_home: Open) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        await trio.sleep_forever()
        raise AssertionError

    runner = ScriptedRunner(script)
    async with open_home(runner, attrs.evolve(FAST, timeout_s=0.1, max_retries=1)) as mc:
        project_id = await crew(mc, "shuri")
        task_id = await task(mc, project_id, "slow", "shuri")
        await until(mc, lambda: status(mc, task_id) is TaskStatus.BLOCKED)
        (pulse,) = mc.mission.reads.pulses_of_task(task_id)
        assert (pulse.outcome, pulse.detail) == ("timed_out", "took more than 0.1 s")


async def test_a_question_halts_the_agent_and_its_answer_lets_it_go_on(open_home: Open) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        if order.attempt == 1:
            await runner.mc.call(
                "mission.control.request_help", task_id=order.task_id, issue="red or blue?"
            )
            return DONE
        return await finish(runner.mc, order)

    runner = Crew(script)
    async with open_home(runner) as mc:
        runner.mc = mc
        project_id = await crew(mc, "shuri")
        task_id = await task(mc, project_id, "paint", "shuri")
        await until(mc, lambda: mc.mission.reads.open_help(task_id) is not None)
        await until(mc, lambda: mc.mission.reads.open_pulse("shuri:p") is None)
        asked = mc.mission.reads.open_help(task_id)
        assert asked is not None
        assert status(mc, task_id) is TaskStatus.BLOCKED
        await mc.call("mission.help.answer", help_id=asked.id, answer="blue")
        await until(mc, lambda: status(mc, task_id) is TaskStatus.DONE)
        assert "blue" in runner.orders[1].status_text
        history = mc.mission.home.scope(project_id).agent("shuri") / "history.jsonl"
        assert "blue" in history.read_text()


async def test_an_answer_that_comes_before_the_pulse_ends_is_acted_on_at_once(
    open_home: Open,
) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        if order.attempt == 1:
            asked = await runner.mc.call(
                "mission.control.request_help", task_id=order.task_id, issue="red or blue?"
            )
            await runner.mc.call("mission.help.answer", help_id=asked["help_id"], answer="blue")
            return DONE
        return await finish(runner.mc, order)

    runner = Crew(script)
    async with open_home(runner) as mc:
        runner.mc = mc
        project_id = await crew(mc, "shuri")
        task_id = await task(mc, project_id, "paint", "shuri")
        await until(mc, lambda: status(mc, task_id) is TaskStatus.DONE)
        assert [order.kind for order in runner.orders[:2]] == ["work", "work"]
        assert "blue" in runner.orders[1].status_text


async def test_no_more_pulses_run_at_once_than_there_are_places(open_home: Open) -> None:
    all_given = trio.Event()

    async def script(order: PulseOrder, life: Life) -> Outcome:
        await all_given.wait()
        return await finish(runner.mc, order)

    runner = Crew(script)
    pulse = attrs.evolve(FAST, max_running=3, max_running_per_project=2)
    async with open_home(runner, pulse) as mc:
        runner.mc = mc
        souls = [f"soul-{n}" for n in range(5)]
        tasks = []
        for name in ("A", "B"):
            project_id = await crew(mc, *souls, project=name)
            tasks += [await task(mc, project_id, soul, soul) for soul in souls]
        await until(mc, lambda: len(runner.running) == 3)
        all_given.set()
        await until(mc, lambda: all(status(mc, t) is TaskStatus.DONE for t in tasks))
        assert runner.most_at_once == 3


async def test_a_pulse_that_leaves_its_task_open_is_followed_by_one_on_schedule(
    open_home: Open,
) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        return DONE if order.attempt < 3 else await finish(runner.mc, order)

    runner = Crew(script)
    async with open_home(runner, attrs.evolve(FAST, interval_s=0.3)) as mc:
        runner.mc = mc
        project_id = await crew(mc, "shuri")
        task_id = await task(mc, project_id, "in parts", "shuri")
        await until(mc, lambda: status(mc, task_id) is TaskStatus.DONE)
        starts = [p.started_at for p in mc.mission.reads.pulses_of_task(task_id)][:3]
        assert starts[2] - starts[1] >= 200_000


async def test_a_paused_agent_gets_no_pulse_until_it_is_resumed(open_home: Open) -> None:
    runner = well_behaved()
    async with open_home(runner) as mc:
        runner.mc = mc  # type: ignore[attr-defined]
        project_id = await crew(mc, "shuri")
        await mc.call("mission.agent.pause", instance_id="shuri:p")
        task_id = await task(mc, project_id, "later", "shuri")
        why = (await mc.call("mission.task.why", task_id=task_id))["why"]
        assert why == "Agent shuri:p is paused: resume it to go on."
        assert runner.orders == []
        await mc.call("mission.agent.resume", instance_id="shuri:p")
        await until(mc, lambda: status(mc, task_id) is TaskStatus.DONE)


async def test_a_trigger_runs_a_pulse_without_work(open_home: Open) -> None:
    runner = well_behaved()
    async with open_home(runner) as mc:
        runner.mc = mc  # type: ignore[attr-defined]
        await crew(mc, "shuri")
        await mc.call("mission.agent.trigger", instance_id="shuri:p")
        await until(mc, lambda: len(runner.orders) == 1)
        assert runner.orders[0].kind == "trigger"


async def test_a_message_wakes_the_agent_that_it_is_for(open_home: Open) -> None:
    runner = well_behaved()
    async with open_home(runner) as mc:
        await crew(mc, "shuri", "okoye")
        await mc.call("mission.agent.message", instance_id="okoye:p", text="look at the gate")
        await until(mc, lambda: len(runner.orders) == 1)
        (order,) = runner.orders
        assert (order.agent_id, order.kind) == ("okoye:p", "message")
        assert "look at the gate" in order.status_text


async def test_a_killed_attempt_gives_its_task_back(open_home: Open) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        if order.attempt == 1:
            await trio.sleep_forever()
        return await finish(runner.mc, order)

    runner = Crew(script)
    async with open_home(runner) as mc:
        runner.mc = mc
        project_id = await crew(mc, "shuri")
        task_id = await task(mc, project_id, "wrong way", "shuri")
        await until(mc, lambda: bool(runner.running))
        await mc.call("mission.agent.kill", instance_id="shuri:p", reason="wrong way")
        await until(mc, lambda: status(mc, task_id) is TaskStatus.DONE)
        assert mc.mission.reads.pulses_of_task(task_id)[0].detail == "wrong way"


async def test_a_task_that_is_deleted_while_it_is_worked_on_strands_nobody(
    open_home: Open,
) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        if order.task_title == "first":
            await runner.mc.call("mission.task.delete", task_id=order.task_id)
            return Outcome(OutcomeKind.FAILED, "it was taken from under my hands")
        return await finish(runner.mc, order)

    runner = Crew(script)
    async with open_home(runner) as mc:
        runner.mc = mc
        project_id = await crew(mc, "shuri")
        await task(mc, project_id, "first", "shuri", priority=1)
        second = await task(mc, project_id, "second", "shuri")
        await until(mc, lambda: status(mc, second) is TaskStatus.DONE)


async def test_nothing_is_begun_while_the_runners_host_is_away(open_home: Open) -> None:
    runner = well_behaved()
    runner.away = "the Gateway is away"
    async with open_home(runner) as mc:
        runner.mc = mc  # type: ignore[attr-defined]
        project_id = await crew(mc, "shuri")
        task_id = await task(mc, project_id, "later", "shuri")
        answer = await mc.call("mission.task.why", task_id=task_id)
        assert answer["why"] == "No pulse can be run: the Gateway is away."
        assert mc.mission.reads.pulses_of_task(task_id) == []
        runner.away = None
        await until(mc, lambda: status(mc, task_id) is TaskStatus.DONE)


async def test_stopping_the_sidecar_closes_the_attempt_without_blame(open_home: Open) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        await trio.sleep_forever()
        raise AssertionError

    runner = ScriptedRunner(script)
    async with open_home(runner) as mc:
        project_id = await crew(mc, "shuri")
        task_id = await task(mc, project_id, "long", "shuri")
        await until(mc, lambda: bool(runner.running))
    assert runner.running == set()
    second = well_behaved()
    async with open_home(second) as mc:
        second.mc = mc  # type: ignore[attr-defined]
        await until(mc, lambda: status(mc, task_id) is TaskStatus.DONE)
        assert second.recovered == []
        assert mc.mission.reads.pulses_of_task(task_id)[0].outcome == "aborted"
        assert [e.kind for e in mc.mission.reads.events(task_id=task_id)].count("failed") == 0


async def test_the_runner_crashing_in_mid_run_is_an_attempt_that_failed(open_home: Open) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        if order.attempt == 1:
            raise RuntimeError("a bug in the runner")
        return await finish(runner.mc, order)

    runner = Crew(script)
    async with open_home(runner) as mc:
        runner.mc = mc
        project_id = await crew(mc, "shuri")
        task_id = await task(mc, project_id, "bug", "shuri")
        await until(mc, lambda: status(mc, task_id) is TaskStatus.DONE)
        assert mc.mission.reads.pulses_of_task(task_id)[0].outcome == "aborted"


async def test_a_done_task_is_distilled_into_learned_md_and_the_notes_are_archived(
    open_home: Open,
) -> None:
    runner = well_behaved()
    async with open_home(runner) as mc:
        runner.mc = mc  # type: ignore[attr-defined]
        project_id = await crew(mc, "shuri")
        scope = mc.mission.home.scope(project_id)
        scope.agent("shuri").mkdir(parents=True)
        (scope.agent("shuri") / "working.md").write_text("half a thought")
        await task(mc, project_id, "learn", "shuri")
        learned = scope.agent("shuri") / "learned.md"
        await until(mc, lambda: not (scope.agent("shuri") / "working.md").read_bytes())
        assert "learn" in learned.read_text()
        (archived,) = scope.archive.iterdir()
        assert archived.read_text() == "half a thought"
        assert "shuri learned from 'learn'" in scope.chronicle.read_text()


async def test_an_attempt_is_told_of_the_last_ones_before_it_and_of_no_more(
    open_home: Open,
) -> None:
    async def fail(order: PulseOrder, life: Life) -> Outcome:
        return Outcome(OutcomeKind.FAILED, "no luck")

    runner, attempts = ScriptedRunner(fail), RECENT_ATTEMPTS + 3
    async with open_home(runner, attrs.evolve(FAST, max_retries=2 * attempts)) as mc:
        project_id = await crew(mc, "shuri")
        task_id = await task(mc, project_id, "watch", "shuri")
        while len(runner.orders) < attempts:
            await until(mc, lambda: rests(mc, task_id))
            await mc.call("mission.agent.trigger", instance_id="shuri:p")
    told = next(order for order in runner.orders if order.attempt == attempts).status_text
    assert told.count("ended because") == RECENT_ATTEMPTS
    assert f"attempt {attempts - 1} ended because: failed, no luck" in told
    assert "attempt 1 ended" not in told


def rests(mc: MissionControl, task_id: str) -> bool:
    pulses = mc.mission.reads.pulses_of_task(task_id)
    return bool(pulses) and all(pulse.ended_at for pulse in pulses)
