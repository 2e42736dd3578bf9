"""What may happen to an agent, its task or its project while an attempt runs, and just after."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import attrs
import pytest
import trio

from mission_control import MissionControl
from mission_control.actors import Life, Outcome, OutcomeKind, PulseOrder
from mission_control.storage import AgentStatus, Conflict, PulseState, TaskStatus, Unavailable
from rig import DONE, FAST, PATIENCE_S, Open, ScriptedRunner, crew, until
from system_doors import busy, call, idle, post


async def hang() -> Outcome:
    await trio.sleep_forever()
    raise AssertionError


async def finish(mc: MissionControl, order: PulseOrder) -> Outcome:
    """Behave well: move the task to done, or distil."""
    if order.kind == "distill":
        await mc.call("mission.control.distill_memory", agent_id=order.agent_id, summary="x")
    elif order.task_id is not None:
        await mc.call("mission.task.move", task_id=order.task_id, new_status="done")
    return DONE


async def task(mc: MissionControl, project_id: str, title: str, soul: str) -> str:
    answer = await mc.call(
        "mission.task.create", project_id=project_id, title=title, assignee_id=soul
    )
    return str(answer["task_id"])


def status(mc: MissionControl, task_id: str) -> TaskStatus:
    return mc.mission.reads.task(task_id).status


def at_rest(mc: MissionControl) -> bool:
    return mc.mission.reads.open_pulse("shuri:p") is None


def at_work(mc: MissionControl) -> bool:
    """Whether an attempt runs, and how it is found again is recorded."""
    pulse = mc.mission.reads.open_pulse("shuri:p")
    return pulse is not None and pulse.state is PulseState.RUNNING


@pytest.mark.parametrize("end", ["hangs", "fails", "is killed"])
async def test_a_task_deleted_in_mid_run_ends_the_run_and_its_agent_takes_up_the_next(
    open_home: Open, end: str
) -> None:
    deleted = trio.Event()

    async def script(order: PulseOrder, life: Life) -> Outcome:
        if order.task_title != "doomed":
            return await finish(mc, order)
        await deleted.wait()
        return Outcome(OutcomeKind.FAILED, "it is gone") if end == "fails" else await hang()

    runner = ScriptedRunner(script)
    async with open_home(runner) as mc:
        project_id = await crew(mc, "shuri")
        doomed = await task(mc, project_id, "doomed", "shuri")
        await until(mc, lambda: at_work(mc))
        await mc.call("mission.task.delete", task_id=doomed)
        deleted.set()
        if end == "is killed":
            with suppress(Conflict):  # the deletion has ended it already
                await mc.call("mission.agent.kill", instance_id="shuri:p")
        following = await task(mc, project_id, "next", "shuri")
        await until(mc, lambda: status(mc, following) is TaskStatus.DONE)
        (pulse,) = mc.mission.reads.pulses_of_task(doomed)
        assert pulse.state is PulseState.ENDED


async def test_a_task_given_away_in_mid_run_is_begun_anew_only_when_the_first_run_has_ended(
    open_home: Open,
) -> None:
    leaving, let_go = trio.Event(), trio.Event()

    async def script(order: PulseOrder, life: Life) -> Outcome:
        if order.soul == "okoye":
            return await finish(mc, order)
        try:
            return await hang()
        finally:
            leaving.set()
            with trio.move_on_after(PATIENCE_S, shield=True):
                await let_go.wait()

    runner = ScriptedRunner(script)
    async with open_home(runner) as mc:
        project_id = await crew(mc, "shuri", "okoye")
        task_id = await task(mc, project_id, "x", "shuri")
        await until(mc, lambda: at_work(mc))
        await mc.call("mission.task.assign", task_id=task_id, assignee_id="okoye")
        with trio.fail_after(PATIENCE_S):
            await leaving.wait()
        await trio.sleep(0.3)  # time enough for a second run to begin, if it could
        assert [order.soul for order in runner.orders] == ["shuri"]
        let_go.set()
        await until(mc, lambda: status(mc, task_id) is TaskStatus.DONE)
        first, second = mc.mission.reads.pulses_of_task(task_id)[:2]
        assert (first.detail, second.agent_id) == ("the task was given to somebody else", "okoye:p")
        assert first.ended_at is not None
        assert first.ended_at <= second.started_at


PUT_AWAY = pytest.mark.parametrize(
    ("method", "params"),
    [
        ("mission.agent.destroy", {"instance_id": "shuri:p"}),
        ("mission.project.archive", {"project_id": "p"}),
    ],
)


@PUT_AWAY
async def test_who_is_put_away_has_stopped_working_when_the_call_is_answered(
    open_home: Open, method: str, params: dict[str, str]
) -> None:
    runner = busy()
    async with open_home(runner) as mc:
        task_id = await task(mc, await crew(mc, "shuri"), "x", "shuri")
        await until(mc, lambda: at_work(mc))
        await mc.call(method, **params)
        assert runner.running == set()
        (pulse,) = mc.mission.reads.pulses_of_task(task_id)
        assert pulse.outcome == "aborted"
        assert mc.mission.reads.task(task_id).failures == 0


@PUT_AWAY
async def test_who_works_where_nobody_can_be_asked_is_not_put_away_and_goes_on_afterwards(
    open_home: Open, method: str, params: dict[str, str]
) -> None:
    runner = busy()
    async with open_home(runner) as mc:
        task_id = await task(mc, await crew(mc, "shuri"), "x", "shuri")
        await until(mc, lambda: at_work(mc))
        runner.away = "the Gateway is away"
        with pytest.raises(Unavailable, match="cannot be reached"):
            await mc.call(method, **params)
        assert mc.mission.reads.open_pulse("shuri:p") is not None
        runner.away = None
        await until(mc, lambda: len(runner.orders) == 2)
        first, second = mc.mission.reads.pulses_of_task(task_id)
        assert runner.recovered == [first.id]
        assert first.ended_at is not None
        assert first.ended_at <= second.started_at


async def test_tasks_of_a_project_archived_in_mid_run_stay_as_its_board_shows_them(
    open_home: Open,
) -> None:
    runner = busy()
    async with open_home(runner) as mc:
        task_id = await task(mc, await crew(mc, "shuri"), "x", "shuri")
        await until(mc, lambda: at_work(mc))
        await mc.call("mission.project.archive", project_id="p")
        for method, more in (
            ("mission.task.move", {"new_status": "done"}),
            ("mission.task.assign", {"assignee_id": None}),
            ("mission.task.delete", {}),
        ):
            with pytest.raises(Conflict, match="restore it first"):
                await mc.call(method, task_id=task_id, **more)
        assert "## In progress (1)" in mc.mission.home.scope("p").kanban.read_text()


async def test_an_answer_that_comes_in_mid_run_lets_that_run_finish_its_task(
    open_home: Open,
) -> None:
    answered = trio.Event()

    async def script(order: PulseOrder, life: Life) -> Outcome:
        if order.kind == "work":
            await mc.call("mission.control.request_help", task_id=order.task_id, issue="red?")
            await answered.wait()
        return await finish(mc, order)

    runner = ScriptedRunner(script)
    async with open_home(runner) as mc:
        task_id = await task(mc, await crew(mc, "shuri"), "paint", "shuri")
        await until(mc, lambda: mc.mission.reads.open_help(task_id) is not None)
        asked = mc.mission.reads.open_help(task_id)
        assert asked is not None
        await mc.call("mission.help.answer", help_id=asked.id, answer="red")
        agent = mc.mission.reads.agent("shuri:p")
        assert (agent.status, agent.current_task_id) == (AgentStatus.WORKING, task_id)
        assert status(mc, task_id) is TaskStatus.IN_PROGRESS
        answered.set()
        await until(mc, lambda: "distill" in [o.kind for o in runner.orders] and at_rest(mc))
        assert [o.kind for o in runner.orders].count("work") == 1
        assert status(mc, task_id) is TaskStatus.DONE


async def test_a_trigger_right_after_a_kill_is_kept(open_home: Open) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        return await hang() if len(runner.orders) == 1 else DONE

    runner = ScriptedRunner(script)
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.agent.trigger", instance_id="shuri:p")
        await until(mc, lambda: at_work(mc))
        await mc.call("mission.agent.kill", instance_id="shuri:p")
        await mc.call("mission.agent.trigger", instance_id="shuri:p")
        await until(mc, lambda: len(runner.orders) == 2)


async def test_a_trigger_in_mid_run_is_followed_by_a_run_of_its_own(open_home: Open) -> None:
    go = trio.Event()

    async def script(order: PulseOrder, life: Life) -> Outcome:
        await go.wait()
        return DONE

    runner = ScriptedRunner(script)
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.agent.trigger", instance_id="shuri:p")
        await until(mc, lambda: at_work(mc))
        await mc.call("mission.agent.trigger", instance_id="shuri:p")
        go.set()
        await until(mc, lambda: len(runner.orders) == 2)


async def test_a_trigger_is_kept_while_the_runners_host_is_away(open_home: Open) -> None:
    runner = idle()
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        runner.away = "the Gateway is away"
        await mc.call("mission.agent.trigger", instance_id="shuri:p")
        await trio.sleep(0.2)  # it is tried, and refused, meanwhile
        assert runner.orders == []
        runner.away = None
        await until(mc, lambda: len(runner.orders) == 1)


async def test_a_task_that_its_agent_gives_back_is_offered_again_an_interval_later(
    open_home: Open,
) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        back = call("mission.task.move", task_id=order.task_id, new_status="backlog")
        assert "result" in (await post(mc, back, token=order.token)).json
        return DONE

    runner = ScriptedRunner(script)
    async with open_home(runner, attrs.evolve(FAST, interval_s=0.5)) as mc:
        task_id = await task(mc, await crew(mc, "shuri"), "not mine", "shuri")
        await until(mc, lambda: len(runner.orders) == 3)
        starts = [pulse.started_at for pulse in mc.mission.reads.pulses_of_task(task_id)]
        assert all(later - earlier >= 450_000 for earlier, later in pairwise(starts))


@pytest.mark.parametrize("kind", ["work", "distill", "message", "trigger"])
async def test_a_run_that_does_not_start_is_tried_again_after_a_pause(
    open_home: Open, kind: str
) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        if order.kind != kind:
            return await finish(mc, order)
        starts.append(trio.current_time())
        return Outcome(OutcomeKind.NOT_STARTED, "the Gateway is busy")

    starts: list[float] = []
    runner = ScriptedRunner(script)
    async with open_home(runner, attrs.evolve(FAST, retry_delay_s=0.3)) as mc:
        project_id = await crew(mc, "shuri")
        match kind:
            case "message":
                await mc.call("mission.agent.message", instance_id="shuri:p", text="hi")
            case "trigger":
                await mc.call("mission.agent.trigger", instance_id="shuri:p")
            case _:
                await task(mc, project_id, "x", "shuri")
        await until(mc, lambda: len(starts) >= 3)
        assert all(later - earlier >= 0.25 for earlier, later in pairwise(starts))


@pytest.mark.parametrize("host", ["is there", "is away"])
async def test_a_message_is_shown_again_when_the_sidecar_stopped_in_the_run_that_showed_it(
    open_home: Open, host: str
) -> None:
    first = busy()
    async with open_home(first) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.agent.message", instance_id="shuri:p", text="mind the gate")
        await until(mc, lambda: at_work(mc))
        first.away = "the Gateway is away" if host == "is away" else None
    second = idle()
    async with open_home(second) as mc:
        await until(mc, lambda: len(second.orders) == 1)
        assert len(second.recovered) == (host == "is away")
        assert second.orders[0].kind == "message"
        assert "mind the gate" in second.orders[0].status_text


async def test_an_output_that_ends_in_half_a_character_is_kept_without_blame(
    open_home: Open,
) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        await trio.lowlevel.checkpoint()
        return Outcome(OutcomeKind.SUCCEEDED, "so \ud83d", output="cut emoji \ud83d")

    runner = ScriptedRunner(script)
    async with open_home(runner) as mc:
        task_id = await task(mc, await crew(mc, "shuri"), "x", "shuri")
        await until(mc, lambda: bool(runner.orders) and at_rest(mc))
        (pulse,) = mc.mission.reads.pulses_of_task(task_id)
        assert (pulse.outcome, pulse.detail, pulse.output) == ("succeeded", "so ?", "cut emoji ?")


async def test_who_waits_long_for_a_place_keeps_its_turn(
    open_home: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mission_control.actors._mission.ANSWER_WITHIN_S", 0.2)
    go = trio.Event()

    async def script(order: PulseOrder, life: Life) -> Outcome:
        await go.wait()
        return DONE

    runner = ScriptedRunner(script)
    pulse = attrs.evolve(FAST, max_running=1, retry_delay_s=1.0)
    async with open_home(runner, pulse) as mc:
        project_id = await crew(mc, "first", "second", "third")
        await task(mc, project_id, "a", "first")
        await until(mc, lambda: bool(runner.running))
        await task(mc, project_id, "b", "second")
        await trio.sleep(0.5)  # longer than anybody waits for another answer
        await task(mc, project_id, "c", "third")
        await trio.sleep(0.1)  # it stands in line: nothing tells of that
        go.set()
        await until(mc, lambda: len(runner.orders) == 3)
        assert [order.soul for order in runner.orders] == ["first", "second", "third"]
