"""What both the real Gateway and the fake one answer: scenarios, in the shapes that we rely on.

A scenario brings its own session and its own marker, by which the model knows its script.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias
from uuid import uuid4

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from mission_control.gateway_bridge._frames import SCOPES, Event
from mission_control.gateway_bridge._transcript import RECOVERY
from mission_control.storage import Invalid
from mission_control.testing import CallTool, Fail, Hang, Say

from .contract_talk import PATIENCE_S, Stack, connected, new_run, talking

COST_USD = pytest.approx(110e-6)


async def it_greets_us_with_what_we_need(stack: Stack) -> None:
    async with connected(stack) as line, connected(stack) as other:
        hello = line.connection.hello
        assert set(hello.scopes) == set(SCOPES)
        assert hello.boot_id == other.connection.hello.boot_id
        assert hello.version == "2026.9.6"
        assert hello.tick_interval_s == 30.0
        assert hello.clock_ms > 0


async def it_says_why_it_does_not_let_us_in(stack: Stack) -> None:
    fine = (4, "gateway-client", "backend", {"token": stack.token})
    refused = await introduced(stack, fine[0], fine[1], fine[2], {"token": "wrong"})
    assert refused[:3] == ("INVALID_REQUEST", "AUTH_TOKEN_MISMATCH", 1008)
    refused = await introduced(stack, 3, fine[1], fine[2], fine[3])
    assert refused[:3] == ("INVALID_REQUEST", "PROTOCOL_MISMATCH", 1002)
    refused = await introduced(stack, fine[0], fine[1], fine[2], {})
    assert refused[:3] == ("NOT_PAIRED", "DEVICE_IDENTITY_REQUIRED", 1008)
    assert await introduced(stack, *fine) == ("ok", "", None, list(SCOPES))
    assert await introduced(stack, 4, "test", "test", fine[3]) == ("ok", "", None, [])


async def introduced(
    stack: Stack, protocol: int, id_: str, mode: str, auth: dict[str, str]
) -> tuple[str, str, int | None, list[str]]:
    """Connect so; return the codes of the refusal and of the closing, or the scopes."""
    client = {"id": id_, "mode": mode, "version": "1", "platform": "linux"}
    versions = {"minProtocol": protocol, "maxProtocol": protocol}
    who = {"role": "operator", "scopes": list(SCOPES), "client": client, "auth": auth}
    connect = {"type": "req", "id": "c", "method": "connect", "params": {**versions, **who}}
    host, port = stack.url.removeprefix("ws://").rstrip("/").split(":")
    with trio.fail_after(PATIENCE_S):
        async with (
            await trio.open_tcp_stream(host, int(port)) as stream,
            trio.open_nursery() as nursery,
        ):
            websocket = await wrap_client_stream(nursery, stream, f"{host}:{port}", "/")
            challenge = json.loads(await websocket.get_message())
            assert challenge["event"] == "connect.challenge"
            assert challenge["payload"]["nonce"]
            await websocket.send_message(json.dumps(connect))
            answer = json.loads(await websocket.get_message())
            assert answer["id"] == "c"
            code = None if answer["ok"] else await closing_code(websocket)
            nursery.cancel_scope.cancel()
    if answer["ok"]:
        return "ok", "", code, answer["payload"]["auth"]["scopes"]
    return answer["error"]["code"], answer["error"]["details"]["code"], code, []


async def closing_code(websocket: WebSocketConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        await websocket.get_message()
    assert closed.value.reason is not None
    return int(closed.value.reason.code)


async def a_session_is_made_once_and_takes_another_folder(stack: Stack) -> None:
    other = stack.folder / "other"
    other.mkdir(exist_ok=True)
    async with talking(stack) as talk:
        asked = {"key": talk.key, "agentId": "main"}
        first = await talk.line.call("sessions.create", **asked)
        again = await talk.line.call("sessions.create", **asked, cwd=str(other), label="L")
        assert first["key"] == again["key"] == talk.key
        assert first["sessionId"] == again["sessionId"]
        assert first["entry"]["lifecycleRevision"] == again["entry"]["lifecycleRevision"]
        assert again["entry"]["spawnedCwd"] == str(other)
        known = (await talk.line.call("sessions.describe", key=talk.key.upper()))["session"]
        assert known["key"] == talk.key
        assert (known["label"], known["spawnedCwd"]) == ("L", str(other))
        listed = (await talk.line.call("sessions.list", agentId="main"))["sessions"]
        assert [row["hasActiveRun"] for row in listed if row["key"] == talk.key] == [False]
        info = (await talk.history())["sessionInfo"]
        assert (info["hasActiveRun"], info["spawnedCwd"]) == (False, str(other))


async def a_turn_is_answered_twice(stack: Stack) -> None:
    run_id = new_run()
    async with talking(stack, Say("All done.")) as talk:
        first = await talk.begin(run_id, extraSystemPrompt="the status")
        assert first["status"] == "accepted"
        assert (first["runId"], first["sessionKey"]) == (run_id, talk.key)
        assert first["agentId"] == "main"
        second = (await talk.line.settled(run_id)).payload
        assert (second["status"], second["summary"]) == ("ok", "completed")
        assert [p["text"] for p in second["result"]["payloads"]] == ["All done."]
        meta = second["result"]["meta"]["agentMeta"]
        assert meta["usage"]["total"] == 110
        assert meta["costUsd"] == COST_USD
        ended = await talk.line.wait(run_id)
        assert (ended["status"], ended["stopReason"]) == ("ok", "stop")
        assert ended["endedAt"] > 0
        assert ended["terminalReply"] == {"disposition": "visible", "text": "All done."}


async def waiting_tells_no_news_until_the_end(stack: Stack) -> None:
    run_id, unknown = new_run(), new_run()
    async with talking(stack, Hang("Thinking")) as talk:
        assert await talk.line.wait(unknown, 50) == {"runId": unknown, "status": "timeout"}
        await talk.begin(run_id)
        await stack.asked(talk.marker)
        assert await talk.line.wait(run_id, 50) == {"runId": run_id, "status": "timeout"}
        assert await talk.tasks() == {run_id: "running"}
        info = (await talk.history(limit=1))["sessionInfo"]
        assert (info["hasActiveRun"], info["status"]) == (True, "running")
        await talk.line.call("sessions.abort", key=talk.key)
        assert "endedAt" in await talk.line.wait(run_id)


async def a_key_runs_once(stack: Stack) -> None:
    run_id = new_run()
    async with talking(stack, Hang()) as talk:
        await talk.begin(run_id)
        await stack.asked(talk.marker)
        again = await talk.begin(run_id)
        assert (again["runId"], again["status"]) == (run_id, "in_flight")
        await talk.line.call("sessions.abort", key=talk.key, runId=run_id)
        await talk.line.settled(run_id)
    done = new_run()
    async with talking(stack, Say("Once.")) as talk:
        await talk.begin(done)
        second = (await talk.line.settled(done)).payload
        again = await talk.begin(done, message="quite another text")
        assert again["result"]["payloads"] == second["result"]["payloads"]
        assert again["status"] == "ok"


async def an_aborted_turn_says_so_everywhere(stack: Stack) -> None:
    run_id = new_run()
    async with talking(stack, Hang("Thinking")) as talk:
        await talk.begin(run_id)
        await talk.line.chat(run_id, "delta")
        answer = await talk.line.call("sessions.abort", key=talk.key, runId=run_id)
        assert answer == {"ok": True, "abortedRunId": run_id, "status": "aborted"}
        assert_stopped(await talk.line.wait(run_id), "rpc")
        assert (await talk.line.chat(run_id, "aborted"))["stopReason"] == "rpc"
        second = (await talk.line.settled(run_id)).payload
        assert (second["status"], second["summary"]) == ("timeout", "aborted")
        assert second["stopReason"] == "rpc"
        last = (await talk.history())["messages"][-1]
        assert last["role"] == "assistant"
        assert last["openclawAbort"]["aborted"] is True
        assert await talk.tasks() == {}
        again = await talk.line.call("sessions.abort", key=talk.key, runId=run_id)
        assert (again["abortedRunId"], again["status"]) == (None, "no-active-run")


def assert_stopped(end: Mapping[str, Any], reason: str) -> None:
    """The Gateway says `error` at first, and `timeout` where its second answer is known."""
    assert end["status"] in ("error", "timeout"), end
    assert end["stopReason"] == reason, end
    assert end["endedAt"] > 0


async def turns_of_a_session_wait_for_each_other(stack: Stack) -> None:
    first, second = new_run(), new_run()
    async with talking(stack, Hang("Thinking")) as talk:
        await talk.begin(first)
        await stack.asked(talk.marker)
        stack.script(talk.marker, Say("Second."))
        assert (await talk.begin(second))["status"] == "accepted"
        with trio.fail_after(PATIENCE_S):
            while set(await talk.tasks()) != {first, second}:  # listed a little later
                assert await talk.line.wait(second, 50) == {"runId": second, "status": "timeout"}
        await talk.line.call("sessions.abort", key=talk.key, runId=first)
        assert (await talk.line.wait(second))["terminalReply"]["text"] == "Second."


async def the_transcript_tells_of_a_turn(stack: Stack) -> None:
    run_id = new_run()
    call = CallTool("exec", {"command": "echo hi"}, text="Looking. ")
    async with talking(stack, call, Say("All done.")) as talk:
        await talk.begin(run_id)
        await talk.line.settled(run_id)
        history = await talk.history()
        rows = history["messages"]
        assert history["hasMore"] is False
        user, final = rows[0], rows[-1]
        assert user["idempotencyKey"] == f"{run_id}:user"
        assert talk.marker in str(user["content"])
        assert [row["role"] for row in rows if row["role"] != "assistant"] == ["user", "toolResult"]
        assert {row["__openclaw"]["runId"] for row in rows[1:]} == {run_id}
        assert (final["stopReason"], final["content"]) == (
            "stop",
            [{"type": "text", "text": "All done."}],
        )
        spent = [row["usage"] for row in rows if "usage" in row]
        assert [usage["totalTokens"] for usage in spent] == [110, 110]
        assert spent[0]["cost"]["total"] == COST_USD
        said = [row["content"] for row in rows if isinstance(row["content"], list)]
        calls = [part for content in said for part in content if part["type"] == "toolCall"]
        assert [(c["name"], c["arguments"]) for c in calls] == [("exec", {"command": "echo hi"})]
        numbers = [row["__openclaw"]["seq"] for row in rows]
        assert numbers == sorted(numbers)
        newest = await talk.history(limit=1)
        assert [row["__openclaw"]["seq"] for row in newest["messages"]] == [numbers[-1]]
        assert newest["hasMore"] is True
        older = await talk.history(limit=100, offset=newest["nextOffset"])
        assert older["messages"][0]["idempotencyKey"] == f"{run_id}:user"
        assert older["messages"][-1]["__openclaw"]["seq"] < numbers[-1]


async def a_reset_begins_afresh_and_keeps_the_folder(stack: Stack) -> None:
    done, cut = new_run(), new_run()
    async with talking(stack, Say("Done.")) as talk:
        before = await talk.line.call("sessions.create", key=talk.key, agentId="main")
        await talk.begin(done)
        await talk.line.settled(done)
        stack.script(talk.marker, Hang("Thinking"))
        await talk.begin(cut)
        await stack.asked(talk.marker, 2)
        reset = await talk.line.call("sessions.reset", key=talk.key)
        assert reset["entry"]["sessionId"] == before["sessionId"]
        assert reset["entry"]["lifecycleRevision"] != before["entry"]["lifecycleRevision"]
        assert_stopped(await talk.line.wait(cut), "restart")
        assert_stopped({**(await talk.line.settled(cut)).payload, "endedAt": 1}, "restart")
        history = await talk.history()
        assert {row["role"] for row in history["messages"]} <= {"system"}
        assert history["sessionInfo"]["spawnedCwd"] == str(stack.folder)


async def a_deleted_session_is_not_known_any_more(stack: Stack) -> None:
    async with talking(stack) as talk:
        deleted = await talk.line.call("sessions.delete", key=talk.key)
        assert (deleted["ok"], deleted["deleted"]) == (True, True)
        again = await talk.line.call("sessions.delete", key=talk.key)
        assert (again["ok"], again["deleted"]) == (True, False)
        assert (await talk.line.call("sessions.describe", key=talk.key))["session"] is None
        history = await talk.history()
        assert not history.get("sessionId")
        assert history["messages"] == []
        aborted = await talk.line.call("sessions.abort", key=talk.key)
        assert aborted["status"] == "no-active-run"
        assert await talk.tasks() == {}


async def what_it_cannot_do_it_refuses(stack: Stack) -> None:
    nowhere = str(stack.folder / "nowhere")
    key, stranger = f"agent:main:{uuid4().hex}", f"agent:nobody:{uuid4().hex}"
    for method, params, why in (
        ("no.such.method", {}, "unknown method"),
        ("agent", {"message": "x"}, "must have required property 'idempotencyKey'"),
        ("agent.wait", {}, "must have required property 'runId'"),
        ("agent", {"message": "x", "idempotencyKey": new_run(), "sessionKey": stranger}, "nobody"),
        ("sessions.create", {"key": stranger, "agentId": "nobody"}, "nobody"),
        ("sessions.create", {"key": key, "agentId": "main", "cwd": nowhere}, "sessions.create"),
    ):
        async with connected(stack) as line:
            with pytest.raises(Invalid, match=why) as refused:
                await line.call(method, **params)
            assert refused.value.details["gateway_code"] == "INVALID_REQUEST", method


async def a_turn_tells_what_it_does_in_order(stack: Stack) -> None:
    run_id = new_run()
    async with talking(stack, CallTool("exec", {"command": "echo hi"}), Say("Done.")) as talk:
        await talk.begin(run_id)
        await talk.line.settled(run_id)
        told = [told_of(h, run_id) for h in talk.line.heard if isinstance(h, Event)]
        steps = [step for step in told if step]
        landmarks = [
            "agent lifecycle start",
            "agent tool start",
            "agent tool result",
            "agent assistant",
            "chat delta",
            "agent lifecycle end",
            "chat final",
        ]
        assert [step for step in dict.fromkeys(steps) if step in landmarks] == landmarks
        assert not any(h.missed for h in talk.line.heard if isinstance(h, Event))
        final = await talk.line.chat(run_id, "final")
        assert final["sessionKey"] == talk.key
        assert final["message"]["content"] == [{"type": "text", "text": "Done."}]


def told_of(event: Event, run_id: str) -> str:
    match event:
        case Event(name="agent", payload={"runId": str(id_), "stream": stream, "data": data}):
            step = f"agent {stream} {data.get('phase', '')}".strip()
            return step if id_ == run_id else ""
        case Event(name="chat", payload={"runId": str(id_), "state": state}):
            return f"chat {state}" if id_ == run_id else ""
        case _:
            return ""


async def a_turn_whose_time_is_up_says_so(stack: Stack) -> None:
    run_id = new_run()
    async with talking(stack, Hang()) as talk:
        await talk.begin(run_id, timeout=1)
        ended = await talk.line.wait(run_id)
        assert (ended["status"], ended["timeoutPhase"]) == ("timeout", "provider")
        assert ended["endedAt"]
        await talk.line.chat(run_id, "error")
        second = (await talk.line.settled(run_id)).payload
        assert (second["status"], second["summary"]) == ("timeout", "aborted")
        assert second["timeoutPhase"] == "provider"


async def a_turn_that_fails_says_why(stack: Stack) -> None:
    run_id = new_run()
    async with talking(stack, Fail()) as talk:
        await talk.begin(run_id)
        ended = await talk.line.wait(run_id)
        assert ended["status"] == "error"
        assert ended["error"]
        assert "endedAt" in ended
        await talk.line.chat(run_id, "error")
        second = await talk.line.settled(run_id)
        assert second.error is not None  # though it did run
        assert (second.error.code, second.error.retryable) == ("UNAVAILABLE", False)
        assert (second.payload["runId"], second.payload["status"]) == (run_id, "error")
        last = (await talk.history())["messages"][-1]
        assert (last["role"], last["stopReason"]) == ("assistant", "error")


async def after_a_crash_it_knows_what_is_on_disk_and_resumes(stack: Stack) -> None:
    run_id, finished = new_run(), new_run()
    async with talking(stack, Say("Written.")) as talk:
        await talk.begin(finished)
        await talk.line.settled(finished)
        stack.script(talk.marker, Hang("Thinking"))
        await talk.begin(run_id)
        await stack.asked(talk.marker, 2)
        boot_id = talk.line.connection.hello.boot_id
        stack.script(talk.marker, Say("Recovered."))
        await stack.crash()
    async with connected(stack) as talk.line:
        assert talk.line.connection.hello.boot_id != boot_id
        for forgotten in (finished, run_id):
            assert await talk.line.wait(forgotten, 50) == {"runId": forgotten, "status": "timeout"}
        assert run_id not in await talk.tasks()
        rows = (await talk.history())["messages"]
        keys = [row.get("idempotencyKey") for row in rows if row["role"] == "user"]
        assert keys[:2] == [f"{finished}:user", f"{run_id}:user"]
        await stack.asked(talk.marker, 3)  # it goes on by itself
        rows = (await talk.history())["messages"]
        (resumed,) = (r for r in rows if r.get("provenance", {}).get("sourceTool") == RECOVERY)
        new_id = resumed["idempotencyKey"].removesuffix(":user")
        assert new_id not in (finished, run_id)
        assert (await talk.line.wait(new_id))["terminalReply"]["text"] == "Recovered."
        assert await talk.line.wait(run_id, 50) == {"runId": run_id, "status": "timeout"}


Scenario: TypeAlias = Callable[[Stack], Awaitable[None]]

SCENARIOS: tuple[Scenario, ...] = (
    it_greets_us_with_what_we_need,
    it_says_why_it_does_not_let_us_in,
    a_session_is_made_once_and_takes_another_folder,
    a_turn_is_answered_twice,
    waiting_tells_no_news_until_the_end,
    a_key_runs_once,
    an_aborted_turn_says_so_everywhere,
    turns_of_a_session_wait_for_each_other,
    the_transcript_tells_of_a_turn,
    a_reset_begins_afresh_and_keeps_the_folder,
    a_deleted_session_is_not_known_any_more,
    what_it_cannot_do_it_refuses,
    a_turn_tells_what_it_does_in_order,
    a_turn_whose_time_is_up_says_so,
    a_turn_that_fails_says_why,
    after_a_crash_it_knows_what_is_on_disk_and_resumes,
)
