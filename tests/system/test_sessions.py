"""Sessions: created, looked into, begun afresh, lost, destroyed; and notes that cause no pulse."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from mission_control import MissionControl
from mission_control.actors import Life, Outcome, OutcomeKind, PulseOrder, SessionOrder
from mission_control.storage import Conflict, Invalid, NotFound, PulseState, Unavailable
from rig import DONE, Open, ScriptedRunner, crew, until
from system_doors import busy, call, idle, post

ME = "shuri:p"
KEY = "agent:main:mc:p:shuri"
LOST = "lost it or began it anew"


async def trigger(mc: MissionControl, runner: ScriptedRunner, agent_id: str = ME) -> PulseOrder:
    """Run one pulse of an agent to its end; return its order."""
    count = len(runner.orders)
    await mc.call("mission.agent.trigger", instance_id=agent_id)
    await until(
        mc,
        lambda: len(runner.orders) > count and mc.mission.reads.open_pulse(agent_id) is None,
    )
    return runner.orders[-1]


async def at_work(mc: MissionControl, runner: ScriptedRunner) -> str:
    """Start a pulse that does not end; return its id when the database knows that it runs."""
    await mc.call("mission.agent.trigger", instance_id=ME)

    def runs() -> bool:
        pulse = mc.mission.reads.open_pulse(ME)
        return pulse is not None and pulse.state is PulseState.RUNNING

    await until(mc, runs)
    return runner.orders[-1].pulse_id


async def session(mc: MissionControl, method: str, **params: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await mc.call(f"mission.session.{method}", instance_id=ME, **params)
    return answer


async def test_a_session_begins_with_the_first_pulse_and_stays(open_home: Open) -> None:
    runner = idle()
    async with open_home(runner) as mc:
        await crew(mc, "shuri", "okoye")
        before = await session(mc, "status")
        assert (before["known"], before["known_in_host"], before["busy"]) == (False, False, False)
        assert (await mc.call("mission.session.list"))["sessions"] == []
        await trigger(mc, runner)
        await trigger(mc, runner)
        after = await session(mc, "status")
        assert (after["known"], after["known_in_host"], after["away"]) == (True, True, None)
        assert after["session"]["key"] == KEY
        assert after["session"]["session_id"] == after["in_host"]["session_id"] == "life 1"
        assert after["in_host"]["cwd"].endswith("projects/p/src")
        (listed,) = (await mc.call("mission.session.list", project_id="p"))["sessions"]
        assert listed == after["session"]
        assert runner.asked == ["begin"]


async def test_a_session_can_be_made_before_it_is_needed(open_home: Open) -> None:
    runner = idle()
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        made = await session(mc, "create")
        assert await session(mc, "create") == made
        order = await trigger(mc, runner)
        assert order.session_key == made["session"]["key"] == KEY
        assert runner.asked == ["begin"]
        assert LOST not in order.status_text


async def test_an_agent_whose_session_was_lost_is_told_in_the_pulse_that_has_the_new_one(
    open_home: Open,
) -> None:
    runner = idle()
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        assert LOST not in (await trigger(mc, runner)).status_text
        del runner.sessions[KEY]
        assert f"(new): The host of your conversation {LOST}" in (
            (await trigger(mc, runner)).status_text
        )
        # From then on it is one of the notes, and no news.
        assert f"(new): The host of your conversation {LOST}" not in (
            (await trigger(mc, runner)).status_text
        )
        assert (await session(mc, "status"))["session"]["session_id"] == runner.sessions[KEY]


async def test_a_loss_that_no_pulse_came_to_tell_is_told_in_the_next(open_home: Open) -> None:
    outcomes = [OutcomeKind.SUCCEEDED, OutcomeKind.NOT_STARTED, OutcomeKind.SUCCEEDED]

    async def script(order: PulseOrder, life: Life) -> Outcome:
        await trio.lowlevel.checkpoint()
        return Outcome(outcomes.pop(0))

    runner = ScriptedRunner(script)
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await trigger(mc, runner)
        runner.sessions.clear()
        await mc.call("mission.agent.trigger", instance_id=ME)  # is tried until it starts
        await until(mc, lambda: not outcomes and mc.mission.reads.open_pulse(ME) is None)
        assert LOST in runner.orders[-1].status_text
        assert f"(new): The host of your conversation {LOST}" in runner.orders[-1].status_text


async def test_a_restart_begins_the_session_afresh_under_its_key_and_the_agent_is_told(
    open_home: Open,
) -> None:
    runner = idle()
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await trigger(mc, runner)
        first = (await session(mc, "status"))["session"]
        second = (await session(mc, "restart"))["session"]
        assert second["key"] == first["key"]
        assert second["session_id"] == runner.sessions[KEY] != first["session_id"]
        assert "(new): Your conversation was begun anew" in (await trigger(mc, runner)).status_text
        assert LOST not in runner.orders[-1].status_text
        assert len(runner.orders) == 2  # to be told was no reason for a pulse


async def test_a_restart_under_the_same_key_is_one_restart(open_home: Open) -> None:
    runner = idle()
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await session(mc, "create")
        first = await session(mc, "restart", idempotency_key="k")
        assert await session(mc, "restart", idempotency_key="k") == first
        assert runner.asked == ["begin", "begin"]
        with pytest.raises(Conflict, match="take a new key"):
            await session(mc, "destroy", idempotency_key="k")


@pytest.mark.parametrize("method", ["restart", "destroy"])
async def test_a_session_is_not_taken_from_under_a_pulse(open_home: Open, method: str) -> None:
    runner = busy()
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        pulse_id = await at_work(mc, runner)
        with pytest.raises(Conflict, match=r"mission\.agent\.kill") as refusal:
            await session(mc, method)
        assert refusal.value.details["pulse_id"] == pulse_id
        assert runner.asked == ["begin"]
        assert (await session(mc, "status"))["busy"] is True


@pytest.mark.parametrize("method", ["restart", "destroy", "logs"])
async def test_there_must_be_a_session(open_home: Open, method: str) -> None:
    async with open_home(idle()) as mc:
        await crew(mc, "shuri")
        with pytest.raises(NotFound, match="has no session"):
            await session(mc, method)


async def test_a_destroyed_session_is_gone_here_and_there_and_the_next_pulse_makes_another(
    open_home: Open,
) -> None:
    runner = idle()
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await trigger(mc, runner)
        was = (await session(mc, "destroy", idempotency_key="k"))["session"]
        assert was["session_id"] == "life 1"
        assert KEY not in runner.sessions
        assert (await session(mc, "status"))["known"] is False
        order = await trigger(mc, runner)
        assert LOST not in order.status_text
        assert runner.asked == ["begin", "end", "begin"]
        # A repetition that comes late does not hit the new one.
        assert (await session(mc, "destroy", idempotency_key="k"))["session"] == was
        assert runner.asked == ["begin", "end", "begin"]


async def test_what_an_agent_of_that_name_left_in_the_host_is_not_gone_on_with(
    open_home: Open,
) -> None:
    runner = idle()
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await trigger(mc, runner)
        await mc.call("mission.agent.destroy", instance_id=ME)
        assert runner.asked == ["begin", "end"]
        runner.sessions[KEY] = "was not there to be ended"
        await mc.call("mission.agent.create", instance_id=ME)
        await trigger(mc, runner)
        assert runner.asked == ["begin", "end", "end", "begin"]


class Fragile(ScriptedRunner):
    """Its host goes away while a session is begun afresh."""

    breaks = True

    async def reset_session(self, order: SessionOrder) -> None:
        if self.breaks:
            raise Unavailable("the host went away")
        await super().reset_session(order)


async def test_a_restart_that_was_interrupted_is_made_up_for_by_the_next_pulse(
    open_home: Open,
) -> None:
    runner = Fragile(idle().script)
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await trigger(mc, runner)
        with pytest.raises(Unavailable, match="went away"):
            await session(mc, "restart")
    runner.breaks = False
    async with open_home(runner) as mc:
        order = await trigger(mc, runner)
        assert runner.asked == ["begin", "begin"]
        assert "Your conversation was begun anew" in order.status_text


async def test_while_the_host_is_away_nothing_is_restarted_and_status_says_what_is_known_here(
    open_home: Open,
) -> None:
    runner = idle()
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await trigger(mc, runner)
        runner.away = "the Gateway is being moved"
        before = mc.mission.reads.last_seq()
        for method in ("restart", "destroy"):
            with pytest.raises(Unavailable, match="being moved"):
                await session(mc, method)
        status = await session(mc, "status")
        assert (status["known"], status["known_in_host"]) == (True, None)
        assert status["away"] == "the Gateway is being moved"
        assert mc.mission.reads.last_seq() == before


async def test_the_sessions_of_an_archived_project_are_left_alone(open_home: Open) -> None:
    runner = idle()
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await trigger(mc, runner)
        await mc.call("mission.project.archive", project_id="p")
        for method in ("create", "restart", "destroy"):
            with pytest.raises(Conflict, match="restore it first"):
                await session(mc, method)
        assert (await session(mc, "status"))["known"] is True


async def test_what_is_injected_waits_for_the_next_pulse_and_is_news_once(open_home: Open) -> None:
    runner = idle()
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await trigger(mc, runner)
        sent = await session(mc, "inject", text="The gate is shut today.")
        (line,) = (
            (mc.mission.home.scope("p").agent("shuri") / "history.jsonl").read_text().splitlines()
        )[-1:]
        assert json.loads(line)["id"] == sent["message_id"]
        # A wake that finds no work is answered by nothing; the triggered pulse is the next one.
        await mc.call("mission.agent.pause", instance_id=ME)
        await mc.call("mission.agent.resume", instance_id=ME)
        assert not mc.mission.reads.has_work(mc.mission.reads.agent(ME), 0)
        order = await trigger(mc, runner)
        assert len(runner.orders) == 2
        assert order.kind == "trigger"
        assert "local (new): The gate is shut today." in order.status_text
        assert "local (new)" not in (await trigger(mc, runner)).status_text


@pytest.mark.parametrize("text", ["", "   ", "x" * 20_001])
async def test_an_empty_or_endless_note_is_refused(open_home: Open, text: str) -> None:
    async with open_home(idle()) as mc:
        await crew(mc, "shuri")
        with pytest.raises(Invalid, match="1 to 20000 characters"):
            await session(mc, "inject", text=text)


async def test_the_output_of_pulses_is_paged_where_the_host_keeps_no_transcript(
    open_home: Open,
) -> None:
    said = iter(range(100))

    async def script(order: PulseOrder, life: Life) -> Outcome:
        await trio.lowlevel.checkpoint()
        number = next(said)
        return Outcome(OutcomeKind.SUCCEEDED, output=f"word {number}") if number else DONE

    runner = ScriptedRunner(script)
    async with open_home(runner) as mc:
        await crew(mc, "shuri", "okoye")
        for _ in range(5):
            await trigger(mc, runner)
        await trigger(mc, runner, "okoye:p")
        newest = await session(mc, "logs", limit=2)
        assert [entry["text"] for entry in newest["entries"]] == ["word 3", "word 4"]
        assert newest["entries"][1]["run_id"] == runner.orders[4].pulse_id
        middle = await session(mc, "logs", limit=2, cursor=newest["earlier"])
        assert [entry["text"] for entry in middle["entries"]] == ["word 1", "word 2"]
        oldest = await session(mc, "logs", limit=2, cursor=middle["earlier"])
        assert [entry["text"] for entry in oldest["entries"]] == ["succeeded"]
        assert oldest["earlier"] is None
        await session(mc, "restart")
        assert (await session(mc, "logs"))["entries"] == []
        await trigger(mc, runner)
        (entry,) = (await session(mc, "logs"))["entries"]
        assert entry["text"] == "word 6"


async def test_a_page_that_cannot_be_is_refused(open_home: Open) -> None:
    runner = idle()
    async with open_home(runner) as mc:
        await crew(mc, "shuri", "okoye")
        await session(mc, "create")
        theirs = (await trigger(mc, runner, "okoye:p")).pulse_id
        for wrong in ({"limit": 0}, {"limit": 201}, {"cursor": "?"}, {"cursor": theirs}):
            with pytest.raises(Invalid) as refusal:
                await session(mc, "logs", **wrong)
            assert refusal.value.details["field"] == next(iter(wrong))


async def test_an_agent_looks_at_its_own_session_and_touches_none(open_home: Open) -> None:
    runner = busy()
    async with open_home(runner) as mc:
        await crew(mc, "shuri", "okoye")
        await mc.call("mission.session.create", instance_id="okoye:p")
        await at_work(mc, runner)
        token = runner.orders[-1].token

        async def ask(method: str, instance_id: str, **params: object) -> Any:
            request = call(f"mission.session.{method}", instance_id=instance_id, **params)
            return (await post(mc, request, token)).json

        async def refused(method: str, instance_id: str, **params: object) -> str:
            answer = await ask(method, instance_id, **params)
            return str(answer["error"]["data"]["kind"])

        assert (await ask("status", ME))["result"]["busy"] is True
        assert (await ask("logs", ME))["result"]["entries"] == []
        for method in ("status", "logs"):
            assert await refused(method, "okoye:p") == "forbidden"
        for method in ("create", "restart", "destroy"):
            assert await refused(method, ME) == "forbidden"
        assert await refused("inject", ME, text="x") == "forbidden"
        listed = (await post(mc, call("mission.session.list"), token)).json["result"]
        assert [each["instance_id"] for each in listed["sessions"]] == [ME]
