"""Messages between agents: delivered once, woken for, and acknowledged when they are read."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from mission_control import MissionControl
from mission_control.actors import Life, Outcome, OutcomeKind, PulseOrder, board_name
from mission_control.actors._roster import Present, roster_name
from mission_control.storage import STORAGE, Conflict, NotFound, PulseState
from rig import DONE, Open, ScriptedRunner, crew, until
from system_doors import call, idle, post


def waiting(*souls: str) -> tuple[ScriptedRunner, trio.Event]:
    """Return a runner whose agents with these souls work until the event; others end at once."""
    go_on = trio.Event()

    async def script(order: PulseOrder, life: Life) -> Outcome:
        if order.soul in souls:
            await go_on.wait()
        await trio.lowlevel.checkpoint()
        return DONE

    return ScriptedRunner(script), go_on


async def at_work(mc: MissionControl, agent_id: str) -> None:
    def runs() -> bool:
        pulse = mc.mission.reads.open_pulse(agent_id)
        return pulse is not None and pulse.state is PulseState.RUNNING

    await until(mc, runs)


async def task(mc: MissionControl, soul: str) -> str:
    answer = await mc.call(
        "mission.task.create", project_id="p", title=f"of {soul}", assignee_id=soul
    )
    return str(answer["task_id"])


def history(mc: MissionControl, soul: str) -> list[dict[str, Any]]:
    path = mc.mission.home.scope("p").agent(soul) / "history.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if "id" in json.loads(line)]


def unread(mc: MissionControl, agent_id: str) -> int:
    return sum(message.read_by is None for message in mc.mission.reads.messages(agent_id))


async def test_a_message_is_in_the_history_wakes_its_reader_and_is_acknowledged(
    open_home: Open,
) -> None:
    runner, go_on = waiting("shuri")
    async with open_home(runner) as mc:
        await crew(mc, "shuri", "okoye")
        task_id = await task(mc, "shuri")
        await at_work(mc, "shuri:p")
        token = runner.orders[0].token
        sent = (
            await post(mc, call("mission.agent.message", to="okoye", text="Is it shut?"), token)
        ).json["result"]
        assert (sent["delivery"], sent["why"]) == ("delivered", None)
        (line,) = history(mc, "okoye")
        assert (line["from"], line["text"]) == ("shuri:p", "Is it shut?")
        await until(
            mc,
            lambda: any(
                event.kind == "message_read"
                for event in mc.mission.reads.events(task_id=task_id, limit=50)
            ),
        )
        (read,) = [
            event
            for event in mc.mission.reads.events(task_id=task_id, limit=50)
            if event.kind == "message_read"
        ]
        assert read.thought == "okoye:p has read the message of shuri:p: Is it shut?"
        (order,) = [order for order in runner.orders if order.soul == "okoye"]
        assert (order.kind, read.pulse_id) == ("message", order.pulse_id)
        assert "shuri:p (new): Is it shut?" in order.status_text
        go_on.set()


async def test_without_a_task_of_the_sender_the_readers_task_has_the_acknowledgement(
    open_home: Open,
) -> None:
    runner, go_on = waiting("shuri")
    async with open_home(runner) as mc:
        await crew(mc, "shuri", "okoye")
        await mc.call("mission.agent.trigger", instance_id="shuri:p")
        await at_work(mc, "shuri:p")
        await mc.call("mission.agent.pause", instance_id="okoye:p")
        request = call("mission.agent.message", to="okoye:p", text="Hello.")
        sent = (await post(mc, request, runner.orders[0].token)).json["result"]
        assert (sent["delivery"], sent["why"]) == ("queued", "agent okoye:p is paused")
        task_id = await task(mc, "okoye")
        await mc.call("mission.agent.resume", instance_id="okoye:p")
        await until(
            mc,
            lambda: any(
                event.kind == "message_read"
                for event in mc.mission.reads.events(task_id=task_id, limit=50)
            ),
        )
        go_on.set()


async def test_an_unknown_agent_is_an_error_for_the_sender_that_names_those_there_are(
    open_home: Open,
) -> None:
    runner, go_on = waiting("shuri")
    async with open_home(runner) as mc:
        await crew(mc, "shuri", "okoye")
        await crew(mc, "nakia", project="Q")
        await mc.call("mission.agent.trigger", instance_id="shuri:p")
        await at_work(mc, "shuri:p")
        token = runner.orders[0].token

        async def refusal(**params: object) -> dict[str, Any]:
            answer = (await post(mc, call("mission.agent.message", **params), token)).json
            error: dict[str, Any] = answer["error"]
            return error

        unknown = await refusal(to="okoyee", text="x")
        assert (unknown["data"]["kind"], unknown["data"]["field"]) == ("not_found", "to")
        assert (
            "no agent 'okoyee:p'; in this project there are okoye:p, shuri:p"
            in (unknown["message"])
        )
        assert (await refusal(to="nakia:q", text="x"))["data"]["kind"] == "forbidden"
        assert (await refusal(to="nobody:q", text="x"))["data"]["kind"] == "forbidden"
        assert (await refusal(to="shuri", text="x"))["data"]["kind"] == "invalid"
        assert (await refusal(text="x"))["data"]["field"] == "to"
        with pytest.raises(NotFound, match="no agent 'okoye'"):
            await mc.call("mission.agent.message", to="okoye", text="x")
        assert unread(mc, "okoye:p") == 0
        go_on.set()


async def test_a_message_that_is_sent_again_under_its_key_arrives_once(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.agent.pause", instance_id="shuri:p")
        message = {"instance_id": "shuri:p", "text": "once", "idempotency_key": "k"}
        first = await mc.call("mission.agent.message", **message)
        assert await mc.call("mission.agent.message", **message) == first
        assert len(history(mc, "shuri")) == 1
        with pytest.raises(Conflict, match="take a new key"):
            await mc.call("mission.agent.message", **(message | {"text": "twice"}))


async def test_a_message_survives_the_restart_of_the_board_that_it_goes_through(
    open_home: Open,
) -> None:
    async with open_home(idle()) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.agent.pause", instance_id="shuri:p")
        storage = mc.mission.find(STORAGE)
        async with trio.open_nursery() as nursery:
            storage.suspend()
            for number in range(5):
                nursery.start_soon(_send, mc, f"message {number}")
            await wait_all_tasks_blocked()  # the board has them in hand, and storage has not
            mc.mission.find(board_name("p")).kill()
            storage.resume()
        texts = [message.text for message in mc.mission.reads.messages("shuri:p")]
        assert sorted(texts) == [f"message {number}" for number in range(5)]


async def _send(mc: MissionControl, text: str) -> None:
    await mc.call("mission.agent.message", instance_id="shuri:p", text=text)


async def test_messages_that_a_pulse_never_showed_are_not_acknowledged(open_home: Open) -> None:
    outcomes = [OutcomeKind.NOT_STARTED, OutcomeKind.LOST, OutcomeKind.SUCCEEDED]

    async def script(order: PulseOrder, life: Life) -> Outcome:
        if order.soul == "shuri":
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        return Outcome(outcomes.pop(0))

    runner = ScriptedRunner(script)
    async with open_home(runner) as mc:
        await crew(mc, "shuri", "okoye")
        task_id = await task(mc, "shuri")
        await at_work(mc, "shuri:p")
        request = call("mission.agent.message", to="okoye", text="Hello.")
        await post(mc, request, runner.orders[0].token)
        await until(mc, lambda: not outcomes and mc.mission.reads.open_pulse("okoye:p") is None)
        events = mc.mission.reads.events(task_id=task_id, limit=50)
        assert [event.kind for event in events].count("message_read") == 1
        assert all("(new): Hello." in order.status_text for order in runner.orders[1:])


async def test_each_of_many_messages_is_news_in_one_pulse(open_home: Open) -> None:
    runner = idle()
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.agent.pause", instance_id="shuri:p")
        for number in range(45):
            await _send(mc, f"<{number}>")
        await _send(mc, "long " * 3000)
        await mc.call("mission.agent.resume", instance_id="shuri:p")
        await until(
            mc,
            lambda: unread(mc, "shuri:p") == 0 and mc.mission.reads.open_pulse("shuri:p") is None,
        )
        assert len(runner.orders) == 3
        told = "".join(order.status_text for order in runner.orders)
        assert [told.count(f"(new): <{number}>") for number in range(45)] == [1] * 45
        assert "(the whole of it stands in your history.jsonl)" in told
        assert max(len(order.status_text) for order in runner.orders) < 20_000


async def test_a_message_that_goes_with_its_agent_disturbs_nobody(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.agent.pause", instance_id="shuri:p")
        await _send(mc, "Hello.")
        roster = mc.mission.find(roster_name("p"))
        before = roster.incarnation
        await mc.call("mission.agent.destroy", instance_id="shuri:p")
        await wait_all_tasks_blocked()
        await mc.mission.ask(roster_name("p"), Present())
        assert roster.incarnation == before
