"""The plugin's side of the bridge, played by a plain client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from mission_control import MissionControl
from mission_control.gateway_bridge import METHODS, TOOLS
from rig import Open, ScriptedRunner, crew, until
from system_doors import Wire, busy, call, idle, websocket

SUBPROTOCOL = ("mission-bridge.v1",)


def hello(mc: MissionControl, **changes: object) -> dict[str, Any]:
    params = {"token": mc.token, "protocol": 1, "hooks": True} | changes
    return call("bridge.hello", **params)


@asynccontextmanager
async def knocking(mc: MissionControl) -> AsyncIterator[Wire]:
    async with websocket(mc, "/bridge", subprotocols=SUBPROTOCOL) as wire:
        yield wire


@asynccontextmanager
async def plugin(mc: MissionControl) -> AsyncIterator[Wire]:
    async with knocking(mc) as wire:
        assert "result" in await wire.ask(hello(mc))
        yield wire


async def answer_to(wire: Wire, question: dict[str, Any]) -> Any:
    """Ask, and return the answer; events may come in between."""
    await wire.send(question)
    while (message := await wire.receive()).get("id") != question["id"]:
        assert message["method"] == "event"
    return message


def as_operator(method: str, params: dict[str, Any], *scopes: str) -> dict[str, Any]:
    caller = {"clientId": "laptop", "scopes": list(scopes)}
    return call(method, params=params, caller=caller)


async def session_of(mc: MissionControl, runner: ScriptedRunner, soul: str, project: str) -> str:
    """Put an agent to work in a project of its own; return the key of its conversation."""
    count = len(runner.running) + 1
    await mc.call(
        "mission.task.create",
        project_id=await crew(mc, soul, project=project),
        title=f"of {soul}",
        assignee_id=soul,
    )
    await until(mc, lambda: len(runner.running) == count)
    return runner.orders[-1].session_key


def kind(answer: Any) -> str:
    return str(answer["error"]["data"]["kind"])


async def test_a_hello_is_answered_with_protocol_and_version(open_home: Open) -> None:
    async with open_home(idle()) as mc, knocking(mc) as wire:
        answer = await wire.ask(hello(mc))
        assert answer["result"]["protocol"] == 1
        assert answer["result"]["version"]
        assert wire.socket.subprotocol == SUBPROTOCOL[0]


@pytest.mark.parametrize("token", ["wrong", "", None, 17, {"a": 1}, "\ud800"])
async def test_a_wrong_token_is_told_and_ends_the_connection(
    open_home: Open, token: object
) -> None:
    async with open_home(idle()) as mc, knocking(mc) as wire:
        answer = await wire.ask(hello(mc, token=token))
        assert kind(answer) == "unauthenticated"
        assert "tokenFile" in answer["error"]["message"]
        assert await wire.closed() == 4401


@pytest.mark.parametrize("protocol", [0, 2, "1", None])
async def test_another_protocol_is_told_what_to_do_and_ends_the_connection(
    open_home: Open, protocol: object
) -> None:
    async with open_home(idle()) as mc, knocking(mc) as wire:
        answer = await wire.ask(hello(mc, protocol=protocol))
        assert "install-plugin again" in answer["error"]["message"]
        assert await wire.closed() == 4400


@pytest.mark.parametrize(
    "first", ["", "[]", "{}", '{"jsonrpc":"2.0","id":1,"method":"bridge.ping"}']
)
async def test_who_does_not_begin_with_hello_is_sent_away(open_home: Open, first: str) -> None:
    async with open_home(idle()) as mc, knocking(mc) as wire:
        await wire.send(first)
        assert await wire.closed() == 4400


async def test_an_operators_scopes_in_the_gateway_are_what_it_may_do_here(open_home: Open) -> None:
    async with open_home(idle()) as mc, plugin(mc) as wire:
        made = as_operator("mission.project.init", {"project_name": "P"}, "operator.write")
        assert (await answer_to(wire, made))["result"]["project_id"] == "p"
        written = as_operator("mission.project.init", {"project_name": "Q"}, "operator.read")
        assert kind(await answer_to(wire, written)) == "forbidden"
        read = as_operator("mission.project.list", {}, "operator.read", "operator.pairing")
        assert len((await answer_to(wire, read))["result"]["projects"]) == 1
        for scopes in ((), ("operator.pairing",), ("operator.admin2",)):
            nobody = as_operator("mission.project.list", {}, *scopes)
            assert kind(await answer_to(wire, nobody)) == "forbidden"
        admin = as_operator("mission.project.rename", {"project_id": "p"}, "operator.admin")
        assert kind(await answer_to(wire, admin)) == "invalid"
        unknown = as_operator("mission.nope", {}, "operator.admin")
        assert (await answer_to(wire, unknown))["error"]["code"] == -32601
        (change,) = [c for c in mc.mission.reads.changes(0) if c.entity == "projects"]
        assert change.actor == "gateway:laptop"


async def test_every_method_of_the_table_passes_the_bridge(open_home: Open) -> None:
    async with open_home(idle()) as mc, plugin(mc) as wire:
        for name, row in METHODS.items():
            answer = await answer_to(wire, as_operator(name, {"unknown": 1}, "operator.admin"))
            if row.secret:
                assert (name, answer["error"]["code"]) == (name, -32601)
            else:
                assert (name, kind(answer)) == (name, "invalid")


async def test_a_tool_acts_as_the_agent_of_the_session_whatever_its_arguments_say(
    open_home: Open,
) -> None:
    runner = busy()
    async with open_home(runner) as mc, plugin(mc) as wire:
        key = await session_of(mc, runner, "shuri", "P")
        await session_of(mc, runner, "okoye", "Q")

        async def use(tool: str, **args: object) -> Any:
            caller = {"sessionKey": key, "agentId": "okoye:q"}
            return await answer_to(
                wire, call("tool.call", tool=tool, args=args, caller=caller, agent_id="okoye:q")
            )

        logged = (await use("log_event", thought="I see"))["result"]
        assert logged["details"]["event_id"] in logged["text"]
        event = mc.mission.reads.events(project_id="p", task_id=None)[-1]
        assert (event.thought, event.agent_id) == ("I see", "shuri:p")
        assert event.pulse_id == runner.orders[0].pulse_id

        mine = await use("mission_task", action="list")
        assert [t["title"] for t in mine["result"]["details"]["tasks"]] == ["of shuri"]
        assert kind(await use("mission_task", action="list", project_id="q")) == "forbidden"
        theirs = runner.orders[1].task_id
        assert kind(await use("log_event", thought="x", task_id=theirs)) == "forbidden"
        assert kind(await use("distill_memory", summary="x", agent_id="okoye:q")) == "forbidden"
        made = await use("mission_task", action="create", title="found")
        assert made["result"]["details"]["task"]["created_by"] == "shuri:p"
        await use("update_chronicle", summary="so it was")
        await use("distill_memory", summary="learned")
        asked = await use("request_help", issue="red or blue?")
        assert mc.mission.reads.help_request(asked["result"]["details"]["help_id"]).agent_id == (
            "shuri:p"
        )


async def test_an_agent_writes_to_another_of_its_project_and_hears_how_it_was_delivered(
    open_home: Open,
) -> None:
    runner = busy()
    async with open_home(runner) as mc, plugin(mc) as wire:
        key = await session_of(mc, runner, "shuri", "P")
        await mc.call("mission.agent.create", soul="okoye", project_id="p")
        await mc.call("mission.agent.pause", instance_id="okoye:p")

        async def send(**args: object) -> Any:
            given = {"tool": "mission_message", "args": args, "caller": {"sessionKey": key}}
            return await answer_to(wire, call("tool.call", **given))

        sent = (await send(to="okoye", text="The gate is open."))["result"]["details"]
        assert (sent["delivery"], sent["message"]["sender"]) == ("queued", "shuri:p")
        assert "agent okoye:p is paused" in sent["why"]
        unknown = await send(to="nakia", text="x")
        assert (kind(unknown), "'nakia:p'" in unknown["error"]["message"]) == ("not_found", True)
        assert kind(await send(text="x")) == kind(await send(to="okoye")) == "invalid"
        assert [m.text for m in mc.mission.reads.messages("okoye:p")] == ["The gate is open."]


async def test_a_late_tool_call_of_an_attempt_that_has_ended_may_look_and_not_touch(
    open_home: Open,
) -> None:
    runner = busy()
    async with open_home(runner) as mc, plugin(mc) as wire:
        key = await session_of(mc, runner, "shuri", "P")
        running, task_id = runner.orders[0].pulse_id, runner.orders[0].task_id

        async def use(tool: str, run_id: str, **args: object) -> Any:
            caller = {"sessionKey": key, "runId": run_id}
            return await answer_to(wire, call("tool.call", tool=tool, args=args, caller=caller))

        late = await use("log_event", "an-earlier-run", task_id=task_id, thought="late")
        assert kind(late) == "forbidden"
        seen = await use("mission_task", "an-earlier-run", action="get", task_id=task_id)
        assert seen["result"]["details"]["task"]["id"] == task_id
        assert "result" in await use("log_event", running, task_id=task_id, thought="in time")
        thoughts = [event.thought for event in mc.mission.reads.events(task_id=task_id)]
        assert "in time" in thoughts
        assert "late" not in thoughts


async def test_the_tools_of_openclaw_are_held_inside_the_project(open_home: Open) -> None:
    runner = busy()
    async with open_home(runner) as mc, plugin(mc) as wire:
        key = await session_of(mc, runner, "shuri", "P")

        async def check(tool: str, **params: object) -> Any:
            asked = call("tool.check", sessionKey=key, tool=tool, params=params)
            return (await answer_to(wire, asked))["result"]["block"]

        assert await check("write", path="a.txt") is None
        assert await check("write", path="../agents/shuri/working.md") is None
        assert "outside your project" in await check("read", path="/etc/passwd")
        assert "kept by Mission Control" in await check("write", path="../KANBAN.md")
        stranger = call("tool.check", sessionKey="agent:main:main", tool="read", params={})
        assert kind(await answer_to(wire, stranger)) == "forbidden"


async def test_commands_are_advised_on_and_not_refused_and_the_task_says_so_once(
    open_home: Open,
) -> None:
    runner = busy()
    async with open_home(runner) as mc, plugin(mc) as wire:
        key = await session_of(mc, runner, "shuri", "P")
        task_id = runner.orders[0].task_id

        async def check(**params: object) -> Any:
            asked = call("tool.check", sessionKey=key, tool="exec", params=params)
            return (await answer_to(wire, asked))["result"]

        assert await check(command="npm test") == {"block": None, "warn": []}
        for _ in range(2):
            verdict = await check(command="ls; ln -s a b")
            assert verdict["block"] is None
            assert "`ln -s a b` makes a link" in verdict["warn"][0]
        said = await check(command="touch x", workdir="..")
        assert "kept by Mission Control" in said["warn"][0]
        oddities: list[Any] = [None, 7, ["ls", 7], {}]
        for odd in oddities:
            assert (await check(command=odd))["warn"] == []
        events = mc.mission.reads.events(task_id=task_id)
        advised = [event for event in events if event.kind == "advice"]
        assert ["link" in event.thought for event in advised] == [True, False]


@pytest.mark.parametrize("tool", sorted(TOOLS))
async def test_a_session_that_is_not_ours_may_use_no_tool(open_home: Open, tool: str) -> None:
    async with open_home(idle()) as mc, plugin(mc) as wire:
        await crew(mc, "shuri")
        for caller in ({"sessionKey": "agent:main:main"}, {"sessionKey": None}, {}, None):
            question = call("tool.call", tool=tool, args={}, caller=caller)
            answer = await answer_to(wire, question)
            assert kind(answer) == "forbidden"
            assert "not a Mission Control session" in answer["error"]["message"]


async def test_whatever_a_plugin_sends_is_answered_and_the_bridge_stays(open_home: Open) -> None:
    runner = busy()
    async with open_home(runner) as mc, plugin(mc) as wire:
        key = await session_of(mc, runner, "shuri", "P")
        mine = {"sessionKey": key}
        tools: list[dict[str, Any]] = [
            {"tool": "nope", "caller": mine},
            {"tool": ["log_event"], "caller": mine},
            {"tool": "log_event", "args": [1], "caller": mine},
            {"tool": "log_event", "args": "x", "caller": mine},
            {"tool": "log_event", "args": {"thought": 1}, "caller": mine},
            {"tool": "log_event", "args": {"thought": "x"}, "caller": "shuri"},
            {"tool": "mission_task", "args": {"action": {}}, "caller": mine},
            {"tool": "mission_task", "args": {}, "caller": mine},
        ]
        for params in tools:
            answer = await answer_to(wire, call("tool.call", **params))
            assert kind(answer) in ("invalid", "not_found")
        calls: list[dict[str, Any]] = [
            {"caller": "x"},
            {"caller": {"scopes": "operator.admin"}},
            {"caller": {"scopes": 7}},
            {"caller": {"scopes": [["operator.admin"]]}},
            {"caller": {"scopes": ["operator.admin"]}, "params": [1]},
        ]
        for params in calls:
            answer = await answer_to(wire, call("mission.project.list", **params))
            assert kind(answer) in ("invalid", "forbidden")
        sessions: list[Any] = [["x"], {}, None, 7, "\ud800"]
        for session in sessions:
            answer = await answer_to(wire, call("pulse.get", sessionKey=session))
            assert answer["result"] == {"text": None}
        await wire.send("{")
        assert (await wire.receive())["error"]["code"] == -32700
        assert (await answer_to(wire, call("bridge.ping")))["result"] == {}


async def test_pulse_get_is_the_status_text_of_the_attempt_that_runs(open_home: Open) -> None:
    runner = busy()
    async with open_home(runner) as mc, plugin(mc) as wire:
        key = await session_of(mc, runner, "shuri", "P")
        answer = await answer_to(wire, call("pulse.get", sessionKey=key))
        assert "[SYSTEM STATUS UPDATE]" in answer["result"]["text"]
        assert f"(ID: {runner.orders[0].task_id})" in answer["result"]["text"]
        assert runner.orders[0].token not in answer["result"]["text"]
        await mc.call("mission.agent.upgrade", instance_id="shuri:p", soul_text="You are calm.")
        again = await answer_to(wire, call("pulse.get", sessionKey=key))
        assert again["result"] == answer["result"], "an upgrade waits for the next pulse"
        await mc.call("mission.agent.pause", instance_id="shuri:p")
        await mc.call("mission.agent.kill", instance_id="shuri:p")
        await until(mc, lambda: mc.mission.reads.open_pulse("shuri:p") is None)
        answer = await answer_to(wire, call("pulse.get", sessionKey=key))
        assert answer["result"] == {"text": None}


async def test_a_person_answers_from_a_chat_if_the_gateway_vouches_for_them(
    open_home: Open,
) -> None:
    async with open_home(idle()) as mc, plugin(mc) as wire:
        project_id = await crew(mc)
        task = await mc.call("mission.task.create", project_id=project_id, title="t")
        asked = await mc.call(
            "mission.control.request_help", task_id=task["task_id"], issue="Red or blue?"
        )
        text = f"answer {asked['help_id'][-8:]} blue"
        person = {"channel": "telegram", "senderId": "4242", "authorized": False}
        refused = await answer_to(wire, call("command.run", text=text, caller=person))
        assert kind(refused) == "forbidden"
        person["authorized"] = True
        taken = await answer_to(wire, call("command.run", text=text, caller=person))
        assert taken["result"]["text"].startswith("Thank you")
        assert mc.mission.reads.help_request(asked["help_id"]).answered_by == "telegram:4242"


async def test_events_are_told_for_the_gateway_to_pass_on(open_home: Open) -> None:
    async with open_home(idle()) as mc, plugin(mc) as wire:
        await answer_to(wire, call("bridge.ping"))
        project_id = await crew(mc)
        task = await mc.call(
            "mission.task.create", project_id=project_id, title="t", description="x" * 20_000
        )
        first, second, third = [await wire.receive() for _ in range(3)]
        assert all(message["method"] == "event" for message in (first, second, third))
        assert all("id" not in message for message in (first, second, third))
        assert first["params"]["event"] == "project_updated"
        assert second["params"]["event"] == "task_updated"
        assert second["params"]["scope"] == "operator.read"
        assert second["params"]["payload"]["id"] == task["task_id"]
        assert second["params"]["payload"]["record"] is None, "too large for an event"
        assert third["params"]["payload"]["record"]["thought"] == "created: t"


@pytest.mark.slow
async def test_a_plugin_that_is_silent_is_let_go_and_one_that_pings_is_kept(
    open_home: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mission_control.gateway_bridge._plugin_bridge.SILENT_AFTER_S", 3.0)
    async with open_home(idle()) as mc, plugin(mc) as silent, plugin(mc) as lively:
        ended = trio.Event()

        async def ping() -> None:
            while not ended.is_set():
                assert (await lively.ask(call("bridge.ping")))["result"] == {}
                await trio.sleep(0.1)  # as the plugin does, in its own time

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ping)
            await silent.closed()
            ended.set()
        assert (await lively.ask(call("bridge.ping")))["result"] == {}


async def test_a_plugin_that_never_says_hello_is_let_go(
    open_home: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mission_control.gateway_bridge._plugin_bridge.HELLO_WITHIN_S", 0.1)
    async with open_home(idle()) as mc, knocking(mc) as wire:
        await wire.closed()
