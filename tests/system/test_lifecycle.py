"""Agents get new personas, call each other and hand tasks on; projects begin as others are."""

from __future__ import annotations

import hashlib
from typing import Any

import attrs
import pytest
import trio

from mission_control import MissionControl
from mission_control.actors import Life, Outcome, OutcomeKind, PulseOrder, roster_name
from mission_control.gateway_bridge import TOOLS, Access, Caller, call
from mission_control.gateway_bridge._callers import of_agent
from mission_control.storage import (
    AgentStatus,
    Conflict,
    Forbidden,
    Invalid,
    MissionError,
    NotFound,
    TaskStatus,
)
from rig import DONE, FAST, Open, ScriptedRunner, crew, until
from system_doors import idle

ME = "shuri:p"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def new_task(mc: MissionControl, soul: str | None = "shuri", **more: Any) -> str:
    task = {"project_id": "p", "title": "Paint", "assignee_id": soul, **more}
    return str((await mc.call("mission.task.create", **task))["task_id"])


def at_rest(mc: MissionControl, *agent_ids: str) -> bool:
    return not any(mc.mission.reads.open_pulse(agent_id) for agent_id in agent_ids)


async def pulse(mc: MissionControl, runner: ScriptedRunner) -> PulseOrder:
    """Run one pulse of shuri to its end; return its order."""
    count = len(runner.orders)
    await mc.call("mission.agent.trigger", instance_id=ME)
    await until(mc, lambda: len(runner.orders) > count and at_rest(mc, ME))
    return runner.orders[-1]


async def test_an_upgrade_counts_from_the_next_pulse_on_and_the_old_soul_is_kept(
    open_home: Open,
) -> None:
    runner = idle()
    async with open_home(runner) as mc:
        await crew(mc)
        soul = {"instance_id": ME, "soul_text": "You are bold."}
        await mc.call("mission.agent.create", **soul)
        assert "You are bold." in (await pulse(mc, runner)).status_text
        upgraded = await mc.call("mission.agent.upgrade", instance_id=ME, soul_text="You are calm.")
        assert (upgraded["previous_sha256"], upgraded["sha256"]) == (
            sha256("You are bold."),
            sha256("You are calm."),
        )
        text = (await pulse(mc, runner)).status_text
        assert ("You are calm." in text, "You are bold." in text) == (True, False)
        versions = mc.mission.home.soul("shuri").parent / "versions"
        kept = {path.stem: path.read_text() for path in versions.iterdir()}
        assert kept == {sha256(text): text for text in ("You are bold.", "You are calm.")}
        back = {"instance_id": ME, "sha256": upgraded["previous_sha256"]}
        await mc.call("mission.agent.upgrade", **back)
        assert mc.mission.home.soul("shuri").read_text() == "You are bold."


async def test_a_soul_that_was_edited_by_hand_is_kept_when_another_is_installed(
    open_home: Open,
) -> None:
    async with open_home(idle()) as mc:
        await crew(mc, "shuri")
        mc.mission.home.soul("shuri").write_text("You are edited.")
        upgraded = await mc.call("mission.agent.upgrade", instance_id=ME, soul_text="You are new.")
        assert upgraded["previous_sha256"] == sha256("You are edited.")
        old = {"instance_id": ME, "sha256": sha256("You are edited.")}
        await mc.call("mission.agent.upgrade", **old)
        assert mc.mission.home.soul("shuri").read_text() == "You are edited."


async def test_a_run_in_the_middle_is_not_told_of_an_upgrade(open_home: Open) -> None:
    finish = trio.Event()

    async def script(order: PulseOrder, life: Life) -> Outcome:
        await finish.wait()
        return DONE

    runner = ScriptedRunner(script)
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.agent.trigger", instance_id=ME)
        await until(mc, lambda: ME in runner.recorded)
        await mc.call("mission.agent.upgrade", instance_id=ME, soul_text="You are calm.")
        assert runner.running == {ME}, "the run goes on"
        finish.set()
        await until(mc, lambda: at_rest(mc, ME))
        assert "You are calm." not in runner.orders[0].status_text
        assert "You are calm." in (await pulse(mc, runner)).status_text


async def test_a_refinement_is_of_one_project_and_its_templates(open_home: Open) -> None:
    runner = idle()
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        refined = {"soul_text": "Here you are brief.", "refinement": True}
        await mc.call("mission.agent.upgrade", instance_id=ME, **refined)
        assert "Here you are brief." in (await pulse(mc, runner)).status_text
        assert "brief" not in mc.mission.home.soul("shuri").read_text()
        scope = mc.mission.home.scope("p")
        scope.context.write_text("Use tabs.")
        await mc.call("mission.project.init", project_name="Copy", base_id="p")
        copy = mc.mission.home.scope("copy")
        assert copy.context.read_text() == "Use tabs."
        assert (copy.agent("shuri") / "SOUL.md").read_text() == "Here you are brief."
        assert [agent.id for agent in mc.mission.reads.agents("copy")] == ["shuri:copy"]
        (copy.agent("shuri") / "SOUL.md").unlink()
    async with open_home(runner) as mc:
        refined_again = mc.mission.home.scope("copy").agent("shuri") / "SOUL.md"
        assert not refined_again.exists(), "who took it away meant it"


async def test_who_is_called_in_a_thought_is_woken(open_home: Open) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        return DONE

    runner = ScriptedRunner(script)
    async with open_home(runner) as mc:
        await crew(mc, "shuri", "okoye")
        task = await new_task(mc, None)
        log = {"task_id": task, "thought": "@okoye, is `@shuri` right?"}
        await mc.call("mission.control.log_event", **log)
        await until(mc, lambda: bool(runner.orders) and at_rest(mc, "okoye:p"))
        assert [order.agent_id for order in runner.orders] == ["okoye:p"]
        assert "@okoye, is `@shuri` right?" in runner.orders[0].status_text


async def test_an_agent_hands_its_task_off_ends_in_peace_and_the_next_goes_on(
    open_home: Open,
) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        mission = runner.mc.mission
        if order.kind == "work" and order.soul == "shuri":
            identity = mission.tokens.of_agent(order.agent_id)
            assert identity is not None
            args = {"action": "hand_off", "to": "okoye", "note": "The door is left."}
            method, params = TOOLS["mission_task"].translate(args)
            await call(mission, of_agent(identity), method, params)
            handed.set()
            await end.wait()
        elif order.kind == "work":
            await runner.mc.call("mission.task.move", task_id=order.task_id, new_status="done")
        return DONE

    handed, end = trio.Event(), trio.Event()
    runner = Crew(script)
    async with open_home(runner) as mc:
        runner.mc = mc
        await crew(mc, "shuri", "okoye")
        task = await new_task(mc)
        await handed.wait()
        await until(mc, lambda: len(runner.orders) > 1 and at_rest(mc, "okoye:p"))
        assert "hands you 'Paint'" in runner.orders[1].status_text
        assert runner.orders[1].kind == "message", "one at a time works on a task"
        end.set()
        await until(mc, lambda: mc.mission.reads.task(task).status is TaskStatus.DONE)
        first = mc.mission.reads.pulses_of_task(task)[0]
        assert (first.agent_id, first.outcome) == (ME, "succeeded")


class Crew(ScriptedRunner):
    """A runner whose script may call the sidecar that it runs for."""

    mc: MissionControl


async def test_a_message_that_a_killed_pulse_was_shown_is_shown_again(open_home: Open) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        if len(runner.orders) == 1:
            return Outcome(OutcomeKind.FAILED, "no luck")
        return DONE

    runner = ScriptedRunner(script)
    async with open_home(runner, attrs.evolve(FAST, retry_delay_s=0.01)) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.agent.message", instance_id=ME, text="read me")
        await until(mc, lambda: len(runner.orders) > 1 and at_rest(mc, ME))
        assert ["read me" in order.status_text for order in runner.orders] == [True, True]
        assert [order.kind for order in runner.orders] == ["message", "message"]


async def test_answers_pauses_and_what_is_owed_are_there_after_a_restart(open_home: Open) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        return DONE

    async with open_home(ScriptedRunner(script)) as mc:
        await crew(mc, "shuri", "okoye")
        task = await new_task(mc)
        await mc.call("mission.agent.pause", instance_id=ME)
        await mc.call("mission.task.move", task_id=task, new_status="in_progress")
        await until(mc, lambda: at_rest(mc, ME))
        help_request = {"task_id": task, "issue": "Red or blue?"}
        asked = await mc.call("mission.control.request_help", **help_request)
        blue = {"help_id": asked["help_id"], "answer": "blue", "new_status": "done"}
        await mc.call("mission.help.answer", **blue)
    async with open_home(ScriptedRunner(script)) as mc:
        request = mc.mission.reads.help_request(asked["help_id"])
        assert (request.answer, request.state.value) == ("blue", "answered")
        assert mc.mission.reads.agent(ME).status is AgentStatus.PAUSED
        with pytest.raises(Conflict, match="was answered by local") as late:
            await mc.call("mission.help.answer", help_id=asked["help_id"], answer="red")
        assert late.value.details["answer"] == "blue"


Bad = tuple[str, dict[str, Any], type[MissionError], str]

BAD: list[Bad] = [
    ("mission.agent.create", {"soul": "../x", "project_id": "p"}, Invalid, "soul"),
    ("mission.agent.create", {"instance_id": "a/b:p"}, Invalid, "soul"),
    ("mission.agent.create", {"soul": "nakia", "project_id": "nope"}, NotFound, "project_id"),
    ("mission.agent.create", {"instance_id": "nakia:p", "interval_s": 0.0}, Invalid, "interval_s"),
    ("mission.agent.upgrade", {"instance_id": "nakia:p", "soul_text": "x"}, NotFound, "agent_id"),
    ("mission.agent.upgrade", {"instance_id": ME, "soul_text": " "}, Invalid, "soul_text"),
    ("mission.agent.upgrade", {"instance_id": ME}, Invalid, "soul_text"),
    ("mission.agent.upgrade", {"instance_id": ME, "sha256": "../x"}, Invalid, "sha256"),
    ("mission.agent.upgrade", {"instance_id": ME, "sha256": "0" * 64}, NotFound, "sha256"),
    ("mission.task.update", {"task_id": "ONE", "depends_on": ["TWO"]}, Invalid, "depends_on"),
    ("mission.task.update", {"task_id": "ONE", "depends_on": ["ONE"]}, Invalid, "depends_on"),
    ("mission.task.hand_off", {"task_id": "ONE", "to": "nakia", "note": "x"}, NotFound, "to"),
    ("mission.help.answer", {"help_id": "CLOSED", "answer": "red"}, Conflict, "help_id"),
    ("mission.help.answer", {"help_id": "nope", "answer": "red"}, NotFound, "helprequest_id"),
    ("mission.help.answer", {"help_id": "CLOSED", "answer": " "}, Invalid, "answer"),
    ("mission.project.delete", {"project_id": "nope"}, NotFound, "project_id"),
]
"""What the issue calls bad input, as far as it is of agents, tasks, answers and projects."""


@pytest.mark.parametrize(
    ("method", "params", "error", "field"),
    BAD,
    ids=[f"{number}-{bad[0]}-{bad[3]}" for number, bad in enumerate(BAD)],
)
async def test_bad_input_is_refused_by_the_field_and_changes_nothing(
    open_home: Open, method: str, params: dict[str, Any], error: type[MissionError], field: str
) -> None:
    async with open_home(idle()) as mc:
        names = await furnished(mc)
        before = mc.mission.reads.last_seq()
        wrong = {name: _named(value, names) for name, value in params.items()}
        with pytest.raises(error) as refusal:
            await mc.call(method, **wrong)
        assert field in {refusal.value.details.get("field"), *refusal.value.details}
        assert mc.mission.reads.last_seq() == before
        assert not (mc.mission.home.path / "souls/nakia").exists()


def _named(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_named(each, names) for each in value]
    return names.get(value, value)


async def furnished(mc: MissionControl) -> dict[str, str]:
    """Make two tasks, of which TWO waits for ONE, and a question that is answered.

    Nobody is at work: whatever is committed later, somebody asked for.
    """
    await crew(mc, "shuri", "okoye")
    for agent_id in (ME, "okoye:p"):
        await mc.call("mission.agent.pause", instance_id=agent_id)
    one = await new_task(mc)
    two = await new_task(mc, "okoye", depends_on=[one])
    asked = await mc.call("mission.control.request_help", task_id=two, issue="Red or blue?")
    await mc.call("mission.help.answer", help_id=asked["help_id"], answer="x", new_status="backlog")
    return {"ONE": one, "TWO": two, "CLOSED": asked["help_id"]}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("mission.task.move", {"new_status": "done"}),
        ("mission.task.hand_off", {"to": "shuri", "note": "mine"}),
        ("mission.control.log_event", {"thought": "hm"}),
        ("mission.control.request_help", {"issue": "how?"}),
    ],
)
async def test_an_agent_may_not_touch_a_task_that_it_does_not_own(
    open_home: Open, method: str, params: dict[str, Any]
) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        begun.set()
        await trio.sleep_forever()
        raise AssertionError

    begun = trio.Event()
    async with open_home(ScriptedRunner(script)) as mc:
        await crew(mc, "shuri", "okoye")
        await mc.call("mission.agent.pause", instance_id=ME)
        task = await new_task(mc)
        await mc.call("mission.agent.trigger", instance_id="okoye:p")
        await begun.wait()
        identity = mc.mission.tokens.of_agent("okoye:p")
        assert identity is not None
        before = mc.mission.reads.task(task), mc.mission.reads.last_seq()
        with pytest.raises(Forbidden) as refusal:
            await call(mc.mission, of_agent(identity), method, {"task_id": task, **params})
        assert refusal.value.details["task_id"] == task
        assert (mc.mission.reads.task(task), mc.mission.reads.last_seq()) == before


async def test_only_who_may_everything_deletes_a_project(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        await crew(mc)
        clerk = Caller("clerk", Access.WRITE)
        with pytest.raises(Forbidden, match=r"operator\.admin"):
            await call(mc.mission, clerk, "mission.project.delete", {"project_id": "p"})


async def test_an_agent_of_an_archived_project_is_destroyed_once_it_is_restored(
    open_home: Open,
) -> None:
    async with open_home(idle()) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.project.archive", project_id="p")
        with pytest.raises(Conflict, match="restore it first"):
            await mc.call("mission.agent.destroy", instance_id=ME)
        await mc.call("mission.project.restore", project_id="p")
        await until(mc, lambda: mc.mission.system.whereis(roster_name("p")) is not None)
        await mc.call("mission.agent.destroy", instance_id=ME)
        assert not mc.mission.reads.has_agent(ME)
