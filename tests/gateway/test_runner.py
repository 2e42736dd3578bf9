"""The runner's rare paths, which a real Gateway does not show on demand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from mission_control.actors import Outcome, OutcomeKind, Progress, PulseOrder, RunHandle
from mission_control.gateway_bridge import _openclaw
from mission_control.gateway_bridge._address import GatewayAddress
from mission_control.gateway_bridge._link import Gateway
from mission_control.gateway_bridge._openclaw import OpenClawRunner
from mission_control.storage import Invalid, Unavailable

from .fake_gateway import FakeGateway, Frame, Peer
from .test_link import linked

ORDER = PulseOrder(
    pulse_id="run-1",
    agent_id="coder:p",
    project_id="p",
    soul="coder",
    session_key="agent:main:mc:p:coder",
    kind="work",
    task_id=None,
    task_title=None,
    attempt=1,
    scope=Path("/p"),
    cwd=Path("/p/src"),
    status_text="the status",
    prompt="the prompt",
    timeout_s=0.5,
)
HANDLE = RunHandle(run_id=ORDER.pulse_id, boot_id="boot-1")
OK = {"status": "ok", "runId": "run-1", "endedAt": 1, "terminalReply": {"text": "Done."}}
USER_ROW = {"role": "user", "idempotencyKey": "run-1:user"}
FINAL_ROW = {
    "role": "assistant",
    "stopReason": "stop",
    "content": [{"type": "text", "text": "Done."}],
    "usage": {"totalTokens": 7, "cost": {"total": 0.5}},
}


@pytest.fixture(autouse=True)
def little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for a second answer that does not come."""
    monkeypatch.setattr(_openclaw, "GRACE_S", 0.05)


@attrs.define
class Host:
    """What the Gateway's methods answer: by default, what they say of an unknown run."""

    answers: dict[str, Any] = attrs.field(factory=dict)
    seen: list[str] = attrs.field(factory=list)
    params: dict[str, Any] = attrs.field(factory=dict)

    async def __call__(self, peer: Peer, request: Frame) -> None:
        method = request["method"]
        self.seen.append(method)
        self.params[method] = request["params"]
        answer = self.answers.get(method, {"status": "timeout"})
        if callable(answer):
            await answer(peer, request)
        else:
            await peer.answer(request, **answer)


@attrs.define
class Witness:
    signs: list[str] = attrs.field(factory=list)
    handles: list[RunHandle] = attrs.field(factory=list)
    progress: Progress | None = None

    def sign(self, what: str) -> None:
        self.signs.append(what)

    async def started(self, handle: RunHandle) -> None:
        self.handles.append(handle)

    def cut_short(self, progress: Progress) -> None:
        self.progress = progress


def history(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"sessionId": "s-1", "messages": list(rows), "hasMore": False}


@asynccontextmanager
async def hosted(host: Host, fake: FakeGateway | None = None) -> AsyncIterator[OpenClawRunner]:
    fake = fake or FakeGateway()
    fake.handle = host
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        yield OpenClawRunner(gateway)


async def never_answers(peer: Peer, request: Frame) -> None:
    """Take the request, and say nothing."""


async def accepts(peer: Peer, request: Frame) -> None:
    await peer.answer(request, status="accepted", runId="run-1")


async def test_nothing_starts_while_the_gateway_is_away() -> None:
    runner, life = OpenClawRunner(Gateway(GatewayAddress("ws://127.0.0.1:9/", "t"))), Witness()
    assert (await runner.run(ORDER, life)).kind is OutcomeKind.NOT_STARTED
    assert not life.handles
    with pytest.raises(Unavailable):
        await runner.open_session(ORDER)


async def test_the_order_becomes_a_session_and_a_turn() -> None:
    host = Host({"agent": accepts, "agent.wait": OK, "sessions.create": {"sessionId": "s-1"}})
    async with hosted(host) as runner:
        assert await runner.open_session(ORDER) == "s-1"
        await runner.run(ORDER, Witness())
    assert host.params["sessions.create"] == {
        "agentId": "main",
        "key": ORDER.session_key,
        "cwd": "/p/src",
        "label": "coder:p",
    }
    assert host.params["agent"] == {
        "message": "the prompt",
        "sessionKey": ORDER.session_key,
        "idempotencyKey": "run-1",
        "timeout": 1,
        "deliver": False,
        "extraSystemPrompt": "the status",
    }


async def test_the_handle_is_durable_before_the_gateway_is_asked() -> None:
    host = Host({"agent": accepts, "agent.wait": OK})

    class Careful(Witness):
        async def started(self, handle: RunHandle) -> None:
            assert not host.seen
            await super().started(handle)

    life = Careful()
    async with hosted(host) as runner:
        await runner.run(ORDER, life)
    assert life.handles == [HANDLE]


async def test_the_second_answer_wins_and_tells_the_cost() -> None:
    meta = {"agentMeta": {"usage": {"total": 42}, "costUsd": 0.25}}
    result = {"payloads": [{"text": "All of it."}], "meta": meta}

    async def settle(peer: Peer, request: Frame) -> None:
        await accepts(peer, request)
        await peer.tell("agent", runId="run-1", stream="tool", data={})
        await peer.tell("agent", runId="run-1", stream="usage", data={})
        await peer.tell("agent", runId="another", stream="assistant", data={})
        await peer.answer(request, status="ok", summary="completed", result=result)

    life = Witness()
    async with hosted(Host({"agent": settle, "agent.wait": OK})) as runner:
        outcome = await runner.run(ORDER, life)
    assert outcome == Outcome(OutcomeKind.SUCCEEDED, "", "All of it.", 42, 0.25)
    assert life.signs == ["tool call"]


async def test_while_the_gateway_drains_the_closing_event_decides() -> None:
    async def finish(peer: Peer, request: Frame) -> None:
        await accepts(peer, request)
        message = {"content": [{"type": "text", "text": "Just in time."}]}
        await peer.tell("chat", runId="run-1", state="final", message=message)

    async def drain(peer: Peer, request: Frame) -> None:
        await peer.refuse(request, "UNAVAILABLE", retryable=True, retryAfterMs=1)

    methods = ("agent.wait", "chat.history")
    async with hosted(Host({"agent": finish, **dict.fromkeys(methods, drain)})) as runner:
        outcome = await runner.run(ORDER, Witness())
    assert outcome == Outcome(OutcomeKind.SUCCEEDED, "", "Just in time.")


async def test_a_turn_that_was_queued_when_the_gateway_stopped_never_started() -> None:
    async def drain(peer: Peer, request: Frame) -> None:
        await accepts(peer, request)
        await peer.refuse(request, "UNAVAILABLE", message="Gateway is draining")

    async with hosted(Host({"agent": drain, "agent.wait": never_answers})) as runner:
        outcome = await runner.run(ORDER, Witness())
    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "draining" in outcome.detail


@pytest.mark.parametrize(
    ("code", "kind"),
    [("UNAVAILABLE", OutcomeKind.NOT_STARTED), ("INVALID_REQUEST", OutcomeKind.FAILED)],
)
async def test_a_turn_that_is_refused_ends_at_once(code: str, kind: OutcomeKind) -> None:
    async def refuse(peer: Peer, request: Frame) -> None:
        await peer.refuse(request, code)

    async with hosted(Host({"agent": refuse})) as runner:
        assert (await runner.run(ORDER, Witness())).kind is kind


async def test_a_dispatch_that_was_cut_is_repeated_with_the_same_key() -> None:
    keys: list[str] = []

    async def cut_once(peer: Peer, request: Frame) -> None:
        keys.append(request["params"]["idempotencyKey"])
        if len(keys) == 1:
            await peer.hang_up()
        else:
            await peer.answer(request, status="in_flight", runId="run-1")

    host = Host({"agent": cut_once, "agent.wait": OK, "chat.history": history()})
    async with hosted(host) as runner:
        assert (await runner.run(ORDER, Witness())).kind is OutcomeKind.SUCCEEDED
    assert keys == ["run-1", "run-1"]


async def test_a_dispatch_that_died_with_the_gateway_is_not_repeated() -> None:
    fake = FakeGateway()

    async def die(peer: Peer, request: Frame) -> None:
        fake.boot_id = "boot-2"
        await peer.hang_up()

    host = Host({"agent": die, "chat.history": history()})
    async with hosted(host, fake) as runner:
        assert (await runner.run(ORDER, Witness())).kind is OutcomeKind.NOT_STARTED
    assert host.seen == ["agent", "chat.history"]


async def test_an_interrupted_turn_is_reset_after_a_crash_of_the_gateway() -> None:
    host = Host({"chat.history": history(USER_ROW)})
    async with hosted(host, FakeGateway(boot_id="boot-2")) as runner:
        outcome = await runner.recover(ORDER, HANDLE, Witness())
    assert outcome.kind is OutcomeKind.LOST
    assert host.seen == ["chat.history", "sessions.reset"]


async def test_a_turn_that_ended_before_the_crash_has_its_outcome() -> None:
    host = Host({"chat.history": history(USER_ROW, FINAL_ROW)})
    async with hosted(host, FakeGateway(boot_id="boot-2")) as runner:
        outcome = await runner.recover(ORDER, HANDLE, Witness())
    assert outcome == Outcome(OutcomeKind.SUCCEEDED, "", "Done.", 7, 0.5)
    assert "sessions.reset" not in host.seen


async def test_a_run_that_its_gateway_forgot_is_aborted_and_lost() -> None:
    host = Host({"chat.history": history(USER_ROW)})
    async with hosted(host) as runner:
        outcome = await runner.recover(ORDER, HANDLE, Witness())
    assert outcome.kind is OutcomeKind.LOST
    assert "sessions.abort" in host.seen


async def test_a_turn_that_seems_never_to_have_begun_is_asked_for_again_under_its_key() -> None:
    begun = False

    async def begin(peer: Peer, request: Frame) -> None:
        nonlocal begun
        begun = True
        await peer.answer(request, status="in_flight", runId="run-1")

    async def wait(peer: Peer, request: Frame) -> None:
        await peer.answer(request, **(OK if begun else {"status": "timeout"}))

    host = Host({"agent": begin, "agent.wait": wait, "chat.history": history()})
    async with hosted(host) as runner:
        outcome = await runner.recover(ORDER, HANDLE, Witness())
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert host.params["agent"]["idempotencyKey"] == "run-1"
    assert host.seen.count("agent") == 1


async def test_a_turn_that_had_not_begun_when_the_gateway_crashed_is_not_asked_for_again() -> None:
    host = Host({"chat.history": history()})
    async with hosted(host, FakeGateway(boot_id="boot-2")) as runner:
        outcome = await runner.recover(ORDER, HANDLE, Witness())
    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "agent" not in host.seen


async def test_a_queued_run_is_followed_though_waiting_tells_nothing_of_it() -> None:
    waits = 0

    async def end_at_the_second(peer: Peer, request: Frame) -> None:
        nonlocal waits
        waits += 1
        await peer.answer(request, **(OK if waits == 2 else {"status": "timeout"}))

    task = {"kind": "cli", "runId": "run-1", "taskId": "t-1"}
    host = Host(
        {
            "agent.wait": end_at_the_second,
            "tasks.list": {"tasks": [task]},
            "chat.history": history(USER_ROW, FINAL_ROW),
        }
    )
    async with hosted(host) as runner:
        outcome = await runner.recover(ORDER, HANDLE, Witness())
    assert outcome == Outcome(OutcomeKind.SUCCEEDED, "", "Done.", 7, 0.5)


async def test_an_order_that_was_never_dispatched_is_not_started() -> None:
    async with hosted(Host()) as runner:
        outcome = await runner.recover(ORDER, RunHandle(), Witness())
    assert outcome.kind is OutcomeKind.NOT_STARTED


async def test_a_cancelled_run_is_aborted_with_the_commands_it_left() -> None:
    stopped = trio.Event()
    asked = trio.Event()

    async def wait(peer: Peer, request: Frame) -> None:
        asked.set()
        if stopped.is_set():
            await peer.answer(request, status="error", stopReason="rpc", endedAt=1)

    async def abort(peer: Peer, request: Frame) -> None:
        stopped.set()
        await peer.answer(request, status="aborted")

    left = {"kind": "exec", "runId": "exec:x", "taskId": "t-9"}
    host = Host(
        {
            "agent": accepts,
            "agent.wait": wait,
            "chat.history": history(USER_ROW, FINAL_ROW),
            "sessions.abort": abort,
            "tasks.list": {"tasks": [left]},
        }
    )
    life = Witness()
    async with hosted(host) as runner:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(runner.run, ORDER, life)
                await asked.wait()
                scope.cancel()
    assert host.params["sessions.abort"] == {"key": ORDER.session_key, "runId": "run-1"}
    assert host.params["tasks.cancel"]["taskId"] == "t-9"
    assert life.progress == Progress("Done.", 7, 0.5), "what it took until then is known"


async def test_a_run_that_could_not_be_stopped_is_stopped_before_its_session_is_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_openclaw, "ABORT_TIMEOUT_S", 0.5)
    asked, told_to_stop = trio.Event(), trio.Event()

    async def wait(peer: Peer, request: Frame) -> None:
        asked.set()
        await never_answers(peer, request)

    async def ignore(peer: Peer, request: Frame) -> None:
        told_to_stop.set()
        await never_answers(peer, request)

    host = Host(
        {
            "agent": accepts,
            "agent.wait": wait,
            "sessions.abort": ignore,
            "sessions.create": {"sessionId": "s-1"},
        }
    )
    async with hosted(host) as runner:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(runner.run, ORDER, Witness())
                await asked.wait()
                scope.cancel()
        await told_to_stop.wait()
        host.seen.clear()
        host.answers["sessions.abort"] = {"status": "no-active-run"}
        host.answers["agent.wait"] = OK
        await runner.open_session(ORDER)
        await runner.open_session(ORDER)
    assert host.seen.count("sessions.abort") == 1
    assert host.seen.index("sessions.abort") < host.seen.index("sessions.create")


async def test_a_folder_that_the_gateway_refuses_is_the_callers_error() -> None:
    async def refuse(peer: Peer, request: Frame) -> None:
        await peer.refuse(request, "INVALID_REQUEST")

    async with hosted(Host({"sessions.create": refuse})) as runner:
        with pytest.raises(Invalid):
            await runner.open_session(ORDER)
