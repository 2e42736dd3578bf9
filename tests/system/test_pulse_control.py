"""A hand on the pulses: schedules, budgets, templates, and what a person may end or begin."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio

from mission_control import MissionControl
from mission_control.actors import (
    Life,
    Outcome,
    OutcomeKind,
    Progress,
    PulseOrder,
    Sign,
    pulse_name,
)
from mission_control.storage import (
    Conflict,
    Invalid,
    Limited,
    ManualClock,
    MissionError,
    TaskStatus,
    next_day,
)
from rig import DONE, FAST, Open, ScriptedRunner, crew, until


async def task(mc: MissionControl, soul: str, title: str = "one", **more: Any) -> str:
    answer = await mc.call(
        "mission.task.create", project_id="p", title=title, assignee_id=soul, **more
    )
    return str(answer["task_id"])


def rests(mc: MissionControl, agent_id: str) -> bool:
    return mc.mission.reads.open_pulse(agent_id) is None


async def hang(order: PulseOrder, life: Life) -> Outcome:
    await trio.sleep_forever()
    raise AssertionError


def taking(tokens: int) -> ScriptedRunner:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        return Outcome(OutcomeKind.SUCCEEDED, tokens=tokens, cost_usd=0.25)

    return ScriptedRunner(script)


async def test_a_schedule_is_changed_and_0_s_is_refused_by_its_name(open_home: Open) -> None:
    async with open_home(taking(1)) as mc:
        await crew(mc, "shuri")
        for field in ("interval_s", "timeout_s"):
            with pytest.raises(Invalid, match=field) as refusal:
                await mc.call("mission.pulse.schedule", instance_id="shuri:p", **{field: 0})
            assert refusal.value.details["field"] == field
        assert mc.mission.reads.agent("shuri:p").interval_s == FAST.interval_s
        answer = await mc.call("mission.pulse.schedule", instance_id="shuri:p", interval_s=5)
        assert (answer["agent"]["interval_s"], answer["agent"]["timeout_s"]) == (5.0, 300.0)


async def test_a_shorter_schedule_holds_from_the_next_pulse(open_home: Open) -> None:
    runner = taking(1)
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await task(mc, "shuri")
        await until(mc, lambda: len(runner.orders) == 1 and rests(mc, "shuri:p"))
        await mc.call("mission.pulse.schedule", instance_id="shuri:p", interval_s=0.05)
        await mc.call("mission.pulse.trigger", instance_id="shuri:p")
        await until(mc, lambda: len(runner.orders) >= 4)


async def test_pulses_are_listed_newest_first_in_pages_and_what_runs_by_itself(
    open_home: Open,
) -> None:
    runner = taking(7)
    async with open_home(runner) as mc:
        await crew(mc, "shuri", "okoye")
        one = await task(mc, "shuri")
        for count in range(1, 4):
            await until(mc, lambda n=count: len(runner.orders) == n and rests(mc, "shuri:p"))  # type: ignore[misc]
            await mc.call("mission.pulse.trigger", instance_id="shuri:p")
        await until(mc, lambda: len(runner.orders) == 4 and rests(mc, "shuri:p"))
        runner.script = hang
        await task(mc, "okoye")
        await until(mc, lambda: bool(runner.recorded))
        (runs,) = (await mc.call("mission.pulse.list"))["pulses"]
        assert (runs["agent_id"], runs["state"]) == ("okoye:p", "running")
        for owner in ({"instance_id": "shuri:p"}, {"task_id": one}):
            page = await mc.call("mission.pulse.list", **owner, limit=3)
            assert [each["attempt"] for each in page["pulses"]] == [4, 3, 2]
            rest = await mc.call("mission.pulse.list", **owner, before=page["next"])
            assert [each["attempt"] for each in rest["pulses"]] == [1]
            assert rest["next"] is None
        assert len((await mc.call("mission.pulse.list", project_id="p"))["pulses"]) == 5
        shown = await mc.call("mission.pulse.get", pulse_id=runs["id"])
        assert shown["pulse"]["agent_id"] == "okoye:p"


async def test_a_restart_ends_the_attempt_without_blame_and_begins_another(
    open_home: Open,
) -> None:
    runner = ScriptedRunner(hang)
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        one = await task(mc, "shuri", side_effects=True)
        for attempt in (1, 2, 3, 4):
            await until(mc, lambda n=attempt: len(runner.orders) == n and bool(runner.recorded))  # type: ignore[misc]
            await mc.call("mission.pulse.restart", instance_id="shuri:p", reason="wrong way")
        await until(mc, lambda: len(runner.orders) == 5)
        assert mc.mission.reads.task(one).failures == 0
        assert mc.mission.reads.open_help(one) is None, "whoever restarts it has decided"
        first = mc.mission.reads.pulses_of_task(one)[0]
        assert (first.outcome, first.detail) == ("aborted", "wrong way")
        assert "attempt 1 ended because: aborted, wrong way" in runner.orders[1].status_text


async def test_a_restart_of_an_agent_that_rests_is_a_trigger(open_home: Open) -> None:
    runner = taking(1)
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.pulse.restart", instance_id="shuri:p")
        await until(mc, lambda: len(runner.orders) == 1)


@pytest.mark.parametrize("of", ["p", None])
async def test_over_budget_nothing_is_begun_and_the_next_day_it_goes_on_by_itself(
    open_home: Open, of: str | None
) -> None:
    """The clock stands a second before midnight: only a timer set for then can wake griot.

    By the schedule its time is a quarter of an hour later: it has slot 2.
    """
    clock = ManualClock()
    clock.at_us = next_day(clock.at_us) - 1_000_000
    runner = taking(100)
    async with open_home(runner, clock=clock) as mc:
        await crew(mc, "okoye", "shuri", "griot")
        budget = await mc.call("mission.project.budget", project_id=of, tokens_per_day=100)
        assert budget["budget"]["level"] == "ample"
        await task(mc, "shuri")
        await until(mc, lambda: len(runner.orders) == 1 and rests(mc, "shuri:p"))
        two = await task(mc, "griot")
        answer = await mc.call("mission.task.why", task_id=two)
        assert "budget" in answer["why"]
        assert "2026-01-02 00:00" in answer["why"]
        with pytest.raises(Limited, match="100 of 100 tokens") as refusal:
            await mc.call("mission.pulse.trigger", instance_id="shuri:p")
        assert refusal.value.retry_after_ms == 1_000
        (told,) = (await mc.call("mission.system.health"))["warnings"]
        assert "has spent 100 of 100 tokens on 2026-01-01 (UTC)" in told
        assert len(runner.orders) == 1
        # Or shuri, who has a task yet, may spend the new day's tokens before griot is asked.
        await mc.call("mission.agent.pause", instance_id="shuri:p")
        clock.advance(3_600)
        await until(mc, lambda: mc.mission.reads.task(two).attempts > 0)


async def works_until_it_is_cut_short(order: PulseOrder, life: Life) -> Outcome:
    try:
        await trio.sleep_forever()
    finally:
        life.cut_short(Progress("so far", 90, 0.25))
    raise AssertionError


@pytest.mark.parametrize("ended_by", ["its time", "kill", "destroy"])
async def test_what_an_attempt_took_and_said_counts_though_it_was_cut_short(
    open_home: Open, ended_by: str
) -> None:
    runner = ScriptedRunner(works_until_it_is_cut_short)
    timeout_s = 0.1 if ended_by == "its time" else 300.0
    async with open_home(runner, attrs.evolve(FAST, timeout_s=timeout_s)) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.project.budget", project_id="p", tokens_per_day=90)
        one = await task(mc, "shuri")
        if ended_by != "its time":
            await until(mc, lambda: bool(runner.recorded))
            where = "pulse.kill" if ended_by == "kill" else "agent.destroy"
            await mc.call(f"mission.{where}", instance_id="shuri:p")
        await until(mc, lambda: bool(runner.orders) and rests(mc, "shuri:p"))
        (pulse,) = mc.mission.reads.pulses_of_task(one)
        assert (pulse.output, pulse.tokens, pulse.cost_usd) == ("so far", 90, 0.25)
        budget = await mc.call("mission.project.budget", project_id="p")
        assert budget["budget"]["level"] == "spent", "no other is begun"


async def test_a_budget_that_is_raised_wakes_who_waits_for_it(open_home: Open) -> None:
    runner = taking(100)
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.project.budget", project_id="p", tokens_per_day=0)
        await task(mc, "shuri")
        assert runner.orders == []
        await mc.call("mission.project.budget", project_id="p", tokens_per_day=100)
        await until(mc, lambda: len(runner.orders) == 1)


async def test_a_budget_is_shown_changed_in_part_and_lifted(open_home: Open) -> None:
    async with open_home(taking(1)) as mc:
        await crew(mc)
        nothing = await mc.call("mission.project.budget", project_id="p")
        assert nothing["budget"] is None
        assert nothing["spending"] == "no budget is set"
        await mc.call("mission.project.budget", project_id="p", tokens_per_day=10)
        both = await mc.call(
            "mission.project.budget", project_id="p", cost_usd_per_day=1, warn_at=0.5
        )
        shown = await mc.call("mission.project.budget", project_id="p")
        assert shown["budget"] == both["budget"]
        assert shown["budget"]["tokens_per_day"] == 10
        assert (shown["budget"]["cost_usd_per_day"], shown["budget"]["warn_at"]) == (1.0, 0.5)
        lifted = await mc.call("mission.project.budget", project_id="p", lift=True)
        assert lifted["budget"]["tokens_per_day"] is lifted["budget"]["cost_usd_per_day"] is None


@pytest.mark.parametrize(
    ("method", "params", "field"),
    [
        ("project.budget", {"project_id": "p", "tokens_per_day": -1}, "tokens_per_day"),
        ("project.budget", {"tokens_per_day": -1}, "tokens_per_day"),
        ("project.budget", {"project_id": "p", "cost_usd_per_day": -0.5}, "cost_usd_per_day"),
        ("project.budget", {"project_id": "p", "warn_at": 0.5}, "tokens_per_day"),
        ("pulse.set_template", {"project_id": "p", "template": "{nonsense}"}, "template"),
        ("pulse.set_template", {"template": "{nonsense}"}, "template"),
        ("pulse.schedule", {"instance_id": "shuri:p", "interval_s": 0}, "interval_s"),
        ("pulse.schedule", {"instance_id": "shuri:p", "max_retries": -1}, "max_retries"),
        ("pulse.list", {"limit": 0}, "limit"),
    ],
)
async def test_what_cannot_be_is_refused_by_its_name_and_changes_nothing(
    open_home: Open, method: str, params: dict[str, Any], field: str
) -> None:
    async with open_home(taking(1)) as mc:
        await crew(mc, "shuri")
        before = mc.mission.reads.last_seq()
        with pytest.raises(Invalid) as refusal:
            await mc.call(f"mission.{method}", **params)
        assert refusal.value.details["field"] == field
        assert mc.mission.reads.last_seq() == before
        assert (await mc.call("mission.pulse.template", project_id="p"))["source"] == "built in"


async def test_an_announced_silence_must_not_be_negative(open_home: Open) -> None:
    async with open_home(ScriptedRunner(hang)) as mc:
        await crew(mc, "shuri")
        one = await task(mc, "shuri")
        with pytest.raises(Invalid, match="expect_silence_s"):
            await mc.call(
                "mission.control.log_event", task_id=one, thought="hm", expect_silence_s=-1
            )


async def test_a_pulse_begins_with_the_words_of_its_project(open_home: Open) -> None:
    runner = taking(1)
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.pulse.set_template", template="HOME {task_title}\n")
        set_ = await mc.call(
            "mission.pulse.set_template", project_id="p", template="OURS {task_title}\n"
        )
        assert set_["source"].endswith("/projects/p/.template")
        await task(mc, "shuri", "Login page")
        await until(mc, lambda: len(runner.orders) == 1 and rests(mc, "shuri:p"))
        assert runner.orders[0].status_text.startswith("OURS Login page\n")
        mc.mission.home.scope("p").template.write_text("now with a {typo} in it\n")
        (told,) = (await mc.call("mission.system.health"))["warnings"]
        assert ".template:1: unknown placeholder '{typo}'" in told
        await mc.call("mission.pulse.trigger", instance_id="shuri:p")
        await until(mc, lambda: len(runner.orders) == 2)
        assert runner.orders[1].status_text.startswith("OURS Login page\n")
        await mc.call("mission.pulse.set_template", project_id="p")
        answer = await mc.call("mission.pulse.template", project_id="p")
        assert answer["template"] == "HOME {task_title}\n"


@pytest.mark.parametrize(("sign", "asked"), [("tool call", True), ("token", False)])
async def test_a_task_with_side_effects_whose_attempt_acted_waits_for_a_human(
    open_home: Open, sign: str, asked: bool
) -> None:
    async def script(order: PulseOrder, life: Life) -> Outcome:
        if order.attempt == 1:
            life.sign(sign)
            return Outcome(OutcomeKind.FAILED, "no answer from the bank")
        return await hang(order, life)

    runner = ScriptedRunner(script)
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        one = await task(mc, "shuri", "pay", side_effects=True)
        if asked:
            await until(mc, lambda: mc.mission.reads.open_help(one) is not None)
            question = mc.mission.reads.open_help(one)
            assert question is not None
            assert "it had acted: tool call (1)" in question.issue
            assert mc.mission.reads.task(one).status is TaskStatus.BLOCKED
            assert len(runner.orders) == 1
            await mc.call("mission.help.answer", help_id=question.id, answer="Nothing was paid.")
        await until(mc, lambda: len(runner.orders) == 2)
        told = runner.orders[1].status_text
        assert "attempt 2; attempt 1 ended because: failed, no answer from the bank" in told
        assert ("(it had acted: tool call (1))" in told) is asked


async def test_what_a_dead_sidecar_did_not_see_may_have_been_a_deed(open_home: Open) -> None:
    """The recovering runner forgets what became of the run: it is lost, and nobody saw it."""
    runner = ScriptedRunner(hang)
    runner.away = None
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        one = await task(mc, "shuri", "pay", side_effects=True)
        await until(mc, lambda: bool(runner.recorded))
        runner.away = "the host is away, so the attempt stays open"
    second = ScriptedRunner(hang)
    async with open_home(second) as mc:
        await until(mc, lambda: mc.mission.reads.open_help(one) is not None)
        assert second.orders == []
        asked = mc.mission.reads.open_help(one)
        assert asked is not None
        assert "nobody saw what it did before the sidecar ended" in asked.issue


async def test_long_work_that_is_announced_may_end_later_than_its_time(open_home: Open) -> None:
    """The second agent, who announces nothing, is what shows that the time was up."""

    async def script(order: PulseOrder, life: Life) -> Outcome:
        if order.soul == "shuri":
            sign = Sign("log_event", 1_000.0)
            opened[0].mission.tell(pulse_name(order.agent_id), sign)
        await over.wait()
        return DONE

    over, opened, runner = trio.Event(), list[MissionControl](), ScriptedRunner(script)
    async with open_home(runner, attrs.evolve(FAST, timeout_s=0.5)) as mc:
        opened.append(mc)
        await crew(mc, "shuri", "okoye")
        long, short = await task(mc, "shuri", "long"), await task(mc, "okoye", "short")
        await until(mc, lambda: bool(mc.mission.reads.task(short).failures))
        assert mc.mission.reads.task(short).failures
        over.set()
        await until(mc, lambda: rests(mc, "shuri:p"))
        assert mc.mission.reads.pulses_of_task(long)[0].outcome == "succeeded"


async def test_where_nothing_runs_there_is_nothing_to_kill(open_home: Open) -> None:
    """The one agent has nothing to do, and the other waits for a place."""
    runner = ScriptedRunner(hang)
    async with open_home(runner, attrs.evolve(FAST, max_running=1)) as mc:
        await crew(mc, "shuri", "okoye")
        await task(mc, "shuri", "one")
        await until(mc, lambda: "shuri:p" in runner.recorded)
        for _ in ("idle", "waiting"):
            with pytest.raises(Conflict, match="no attempt of okoye:p runs"):
                await mc.call("mission.pulse.kill", instance_id="okoye:p")
            await task(mc, "okoye", "two")
        for name in ("kill", "restart"):
            with pytest.raises(Invalid, match="reason"):
                await mc.call(f"mission.pulse.{name}", instance_id="shuri:p", reason="y" * 1_001)
        assert runner.running


async def test_halted_agents_are_not_triggered_and_paused_ones_resume(open_home: Open) -> None:
    runner = taking(1)
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.pulse.pause", instance_id="shuri:p")
        for name in ("trigger", "restart"):
            with pytest.raises(MissionError, match="paused"):
                await mc.call(f"mission.pulse.{name}", instance_id="shuri:p")
        await mc.call("mission.pulse.resume", instance_id="shuri:p")
        await mc.call("mission.pulse.trigger", instance_id="shuri:p")
        await until(mc, lambda: len(runner.orders) == 1)
