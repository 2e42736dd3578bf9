"""`mission.task.why`: one sentence, and its reason as a record, for every task that is not over."""

from __future__ import annotations

from typing import Any

import attrs
import trio

from mission_control import MissionControl
from mission_control.actors import ORCHESTRATOR, Life, Outcome, OutcomeKind, PulseOrder
from mission_control.actors._liveness import LOOKS
from mission_control.actors._orchestrator import Tick
from mission_control.actors._pulse import PulseActor
from mission_control.storage import TaskStatus
from mission_control.supervisor import Ref
from rig import DONE, FAST, Open, ScriptedRunner, crew, until


async def hang(order: PulseOrder, life: Life) -> Outcome:
    await trio.sleep_forever()
    raise AssertionError


async def fail(order: PulseOrder, life: Life) -> Outcome:
    return Outcome(OutcomeKind.FAILED, "no luck")


async def task(mc: MissionControl, title: str, soul: str | None = "shuri", **more: Any) -> str:
    answer = await mc.call(
        "mission.task.create", project_id="p", title=title, assignee_id=soul, **more
    )
    return str(answer["task_id"])


async def why(mc: MissionControl, task_id: str) -> dict[str, Any]:
    answer = await mc.call("mission.task.why", task_id=task_id)
    assert answer["why"] == answer["reason"]["sentence"]
    reason: dict[str, Any] = answer["reason"]
    return reason


def running(mc: MissionControl, task_id: str) -> bool:
    pulse = mc.mission.reads.open_pulse_of_task(task_id)
    return pulse is not None and mc.mission.tokens.of_pulse(pulse.id) is not None


async def test_a_task_that_runs_and_those_behind_it(open_home: Open) -> None:
    async with open_home(ScriptedRunner(hang)) as mc:
        await crew(mc, "shuri")
        first = await task(mc, "first", priority=1)
        await until(mc, lambda: running(mc, first))
        second, third = await task(mc, "second"), await task(mc, "third", depends_on=[first])
        reason = await why(mc, first)
        assert reason["because"] == "running"
        assert reason["since_at"] is not None
        assert "Attempt 1 runs since" in reason["sentence"]
        reason = await why(mc, second)
        assert (reason["because"], reason["place"]) == ("in_line", 2)
        reason = await why(mc, third)
        assert (reason["because"], reason["waits_for"]) == ("tasks", [first])
        assert reason["sentence"] == "It waits for 'first'."


async def test_a_task_that_waits_for_a_slot_is_told_its_place(open_home: Open) -> None:
    one = attrs.evolve(FAST, max_running=1)
    async with open_home(ScriptedRunner(hang), one) as mc:
        await crew(mc, "okoye", "shuri")
        first = await task(mc, "first", "okoye")
        await until(mc, lambda: running(mc, first))
        second = await task(mc, "second", "shuri")
        with trio.fail_after(30):
            while (reason := await why(mc, second))["because"] != "slot":  # noqa: ASYNC110
                await trio.sleep(0.01)  # until its agent has asked for one
        assert reason["place"] == 1
        assert "number 1 in line" in reason["sentence"]


async def test_a_task_whose_time_has_not_come_is_told_when(open_home: Open) -> None:
    patient = attrs.evolve(FAST, retry_delay_s=200.0)
    async with open_home(ScriptedRunner(fail), patient) as mc:
        await crew(mc, "shuri")
        first = await task(mc, "first")
        await until(mc, lambda: mc.mission.reads.task(first).failures == 1)
        reason = await why(mc, first)
        assert reason["because"] == "due"
        assert reason["due_at"] is not None


async def test_a_task_that_failed_too_often_is_quarantined(open_home: Open) -> None:
    async with open_home(ScriptedRunner(fail)) as mc:
        await crew(mc, "shuri")
        first = await task(mc, "first")
        await until(mc, lambda: mc.mission.reads.task(first).status is TaskStatus.BLOCKED)
        reason = await why(mc, first)
        assert reason["because"] == "quarantined"
        assert reason["help_id"] in reason["sentence"]


async def test_what_only_people_can_bring_forward_says_so(open_home: Open) -> None:
    runner = ScriptedRunner(hang)
    async with open_home(runner) as mc:
        await crew(mc, "shuri", "okoye", "nakia")
        for soul in ("shuri", "nakia"):
            await mc.call("mission.agent.pause", instance_id=f"{soul}:p")
        paused = await task(mc, "paused")
        nobodys = await task(mc, "nobody's", None)
        asked, by_hand = await task(mc, "asked", "nakia"), await task(mc, "by hand", "nakia")
        await mc.call("mission.control.request_help", task_id=asked, issue="Which key?")
        await mc.call("mission.task.move", task_id=by_hand, new_status="blocked")
        runner.away = "the Gateway is being moved"
        orphan = await task(mc, "orphan", "okoye")
        reasons = (await mc.call("mission.project.why", project_id="p"))["tasks"]
        assert reasons[orphan]["because"] == "away"
        await mc.call("mission.agent.destroy", instance_id="okoye:p")
        reasons = (await mc.call("mission.project.why", project_id="p"))["tasks"]
        assert {id_: reason["because"] for id_, reason in reasons.items()} == {
            paused: "paused",
            nobodys: "unassigned",
            asked: "answer",
            by_hand: "blocked",
            orphan: "no_agent",
        }
        assert all(reason["sentence"].endswith(".") for reason in reasons.values())


async def test_a_task_of_a_project_without_means_says_until_when(open_home: Open) -> None:
    async with open_home(ScriptedRunner(hang)) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.project.budget", project_id="p", tokens_per_day=0)
        reason = await why(mc, await task(mc, "dear"))
        assert reason["because"] == "budget"
        assert reason["due_at"] is not None


async def test_what_nobody_sees_to_is_found_told_and_begun_again(open_home: Open) -> None:
    runner = ScriptedRunner(hang)
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        actor: Ref[Any] = mc.mission.find("pulse/shuri:p")
        deaf = actor.incarnation
        before = PulseActor.receive
        PulseActor.receive = ignore  # type: ignore[method-assign]
        try:
            left = await task(mc, "left")
            for _ in range(LOOKS):
                assert (await why(mc, left))["because"] == "next"
                await mc.mission.ask(ORCHESTRATOR, Tick())
        finally:
            PulseActor.receive = before  # type: ignore[method-assign]
        warnings = (await mc.call("mission.system.health"))["warnings"]
        assert any(left in warning for warning in warnings)
        events = mc.mission.reads.events(task_id=left)
        assert [event.kind for event in events].count("stranded") == 1
        await until(mc, lambda: running(mc, left))
        assert actor.incarnation != deaf
        await mc.mission.ask(ORCHESTRATOR, Tick())
        warnings = (await mc.call("mission.system.health"))["warnings"]
        assert not any(left in warning for warning in warnings)


async def test_an_end_that_cannot_be_written_is_not_taken_for_an_attempt_left_alone(
    open_home: Open,
) -> None:
    async def fill_the_disk(order: PulseOrder, life: Life) -> Outcome:
        mc.mission.store.condition.failure = "the disk is full"
        return DONE

    async with open_home(ScriptedRunner(fill_the_disk)) as mc:
        await crew(mc, "shuri")
        done = await task(mc, "done")
        condition = mc.mission.store.condition
        await until(mc, lambda: condition.failure is not None and not running(mc, done))
        for _ in range(LOOKS):
            await mc.mission.ask(ORCHESTRATOR, Tick())
        condition.failure = None
        await until(mc, lambda: mc.mission.reads.open_pulse_of_task(done) is None)
        assert [p.outcome for p in mc.mission.reads.pulses_of_task(done)] == ["succeeded"]


async def test_what_waits_for_the_storage_says_so_and_its_agent_is_left_alone(
    open_home: Open,
) -> None:
    runner = ScriptedRunner(hang, away="the host is away")
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        waiting = await task(mc, "waiting")
        condition, actor = mc.mission.store.condition, mc.mission.find("pulse/shuri:p")
        before = actor.incarnation
        condition.failure, runner.away = "the disk fails", None
        for _ in range(LOOKS):
            reason = await why(mc, waiting)
            assert (reason["because"], "the disk fails" in reason["sentence"]) == ("away", True)
            await mc.mission.ask(ORCHESTRATOR, Tick())
        assert actor.incarnation == before
        condition.failure = None
        await until(mc, lambda: running(mc, waiting))


def ignore(self: PulseActor, message: object) -> None:
    """Hear nothing."""
