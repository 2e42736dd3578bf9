"""The runner against a real OpenClaw Gateway, whose model does what the tests say."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
import pytest
import trio
from tenacity import wait_fixed

import mission_control
from mission_control import Config, MissionControl
from mission_control.actors import Outcome, OutcomeKind, Progress, PulseOrder, RunHandle
from mission_control.config import ListenSettings
from mission_control.gateway_bridge import _link
from mission_control.gateway_bridge._address import GatewayAddress
from mission_control.gateway_bridge._connection import open_connection
from mission_control.gateway_bridge._link import Gateway
from mission_control.gateway_bridge._openclaw import OpenClawRunner
from mission_control.gateway_bridge._refusals import GatewayRefused
from mission_control.storage import NotFound
from openclaw_paths import OpenClaw
from rig import FAST, crew

from .cable import Cable
from .gateway_stack import TOKEN, GatewayStack
from .scripted_model import CallTool, ModelRequest, Say, ScriptedModel, Stall, Step

PATIENCE_S = 120.0

pytestmark = [pytest.mark.openclaw, pytest.mark.slow, pytest.mark.timeout(500)]


@attrs.define
class Scripts:
    """Per marker, what the model says; each test brings its own marker."""

    steps: dict[str, Callable[[], Step]] = attrs.field(factory=dict)

    def __call__(self, request: ModelRequest) -> Step:
        for marker, step in reversed(list(self.steps.items())):  # older ones are in transcripts
            if request.says(marker):
                return step()
        return Say("nobody asked me")


@attrs.define
class Witness:
    """A `Life` that remembers."""

    signs: set[str] = attrs.field(factory=set)
    handle: RunHandle | None = None

    def sign(self, what: str) -> None:
        self.signs.add(what)

    async def started(self, handle: RunHandle) -> None:
        self.handle = handle

    def cut_short(self, progress: Progress) -> None:
        """Nobody asks what it took."""


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel(Scripts()) as model:
        yield model


@pytest.fixture(scope="module")
def stack(
    openclaw: OpenClaw, model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayStack]:
    root = tmp_path_factory.mktemp("gateway")
    tools = ("exec", "process", "read", "write")
    with GatewayStack(openclaw, root, model.url, tools=tools) as stack:
        yield stack


@asynccontextmanager
async def linked(url: str, token: str = TOKEN) -> AsyncIterator[Gateway]:
    gateway = Gateway(GatewayAddress(url, token))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gateway.stay_connected)
        with trio.fail_after(PATIENCE_S):
            await gateway.wait_connected()
        yield gateway
        nursery.cancel_scope.cancel()


def script(model: ScriptedModel, marker: str, *steps: Step | Callable[[], Step]) -> None:
    """Let the model play *steps*, one per request that holds *marker*; then the last again."""
    left = list(steps)

    def play() -> Step:
        step = left.pop(0) if len(left) > 1 else left[0]
        return step() if callable(step) else step

    assert isinstance(model.script, Scripts)
    model.script.steps[marker] = play


def order_in(folder: Path, soul: str = "coder") -> PulseOrder:
    """An order of its own; its prompt holds its id, which serves as the marker."""
    pulse_id = str(uuid4())
    return PulseOrder(
        pulse_id=pulse_id,
        agent_id=f"{soul}:{folder.name}",
        project_id=folder.name,
        soul=soul,
        session_key=f"agent:main:mc:{folder.name}:{soul}".lower(),
        kind="work",
        task_id="t-1",
        task_title="A task",
        attempt=1,
        scope=folder,
        cwd=folder,
        status_text=f"[SYSTEM STATUS UPDATE] status of {pulse_id}",
        prompt=f"Do the task of pulse {pulse_id}.",
        timeout_s=300,
    )


async def asked(model: ScriptedModel, order: PulseOrder, count: int = 1) -> None:
    """Wait until the model has been asked about the order."""
    await trio.to_thread.run_sync(model.wait_for, order.prompt, count)


async def is_active(gateway: Gateway, order: PulseOrder) -> bool:
    history = await gateway.call("chat.history", {"sessionKey": order.session_key}, timeout=60)
    return bool(history["sessionInfo"].get("hasActiveRun"))


async def test_a_turn_with_a_tool_call_succeeds(
    stack: GatewayStack, model: ScriptedModel, tmp_path: Path
) -> None:
    order, life = order_in(tmp_path), Witness()
    script(model, order.prompt, CallTool("exec", {"command": "echo hi > made"}), Say("All done."))
    async with linked(stack.url) as gateway:
        runner = OpenClawRunner(gateway)
        assert await runner.open_session(order)
        outcome = await runner.run(order, life)
        assert life.handle == RunHandle(run_id=order.pulse_id, boot_id=gateway.boot_id)
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert outcome.output == "All done."
    assert outcome.tokens == 220
    assert outcome.cost_usd == pytest.approx(220e-6)
    assert {"token", "tool call"} <= life.signs
    assert (tmp_path / "made").read_text() == "hi\n"
    assert order.status_text in model.requests(order.prompt)[0].system


async def test_a_status_text_that_the_plugin_injects_is_not_sent_twice(
    stack: GatewayStack, model: ScriptedModel, tmp_path: Path
) -> None:
    order = order_in(tmp_path)
    script(model, order.prompt, Say("Done."))
    async with linked(stack.url) as gateway:
        runner = OpenClawRunner(gateway, prompt_injected=lambda: True)
        await runner.open_session(order)
        assert (await runner.run(order, Witness())).kind is OutcomeKind.SUCCEEDED
    assert not model.requests(order.status_text)


async def test_a_cancelled_run_has_ended_in_the_gateway(
    stack: GatewayStack, model: ScriptedModel, tmp_path: Path
) -> None:
    order = order_in(tmp_path)
    background = CallTool("exec", {"command": "sleep 600", "background": True})
    script(model, order.prompt, background, Stall("Thinking"))
    async with linked(stack.url) as gateway:
        runner = OpenClawRunner(gateway)
        await runner.open_session(order)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runner.run, order, Witness())
            await asked(model, order, 2)
            nursery.cancel_scope.cancel()
        assert not await is_active(gateway, order)
        running = {"sessionKey": order.session_key, "status": ["running"]}
        assert not (await gateway.call("tasks.list", running))["tasks"]
        handle = RunHandle(run_id=order.pulse_id, boot_id=gateway.boot_id)
        outcome = await runner.recover(order, handle, Witness())
        assert outcome.kind is OutcomeKind.ABORTED
        again = order_in(tmp_path)
        script(model, again.prompt, Say("Fresh."))
        assert (await runner.run(again, Witness())).output == "Fresh."


async def test_a_run_outlives_its_connection(
    stack: GatewayStack, model: ScriptedModel, tmp_path: Path
) -> None:
    order, go_on = order_in(tmp_path), threading.Event()
    script(
        model, order.prompt, lambda: Say("Still here." if go_on.wait(PATIENCE_S) else "Too late.")
    )
    outcomes: list[Outcome] = []
    cable = Cable(stack.port)
    async with cable.plugged_in() as url, linked(url) as gateway:
        runner = OpenClawRunner(gateway)
        await runner.open_session(order)

        async def run() -> None:
            outcomes.append(await runner.run(order, Witness()))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await asked(model, order)
            cable.cut()
            await gateway.changed()
            await gateway.wait_connected()
            go_on.set()
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.SUCCEEDED]
    assert outcomes[0].output == "Still here."
    assert outcomes[0].tokens == 110
    assert len(model.requests(order.prompt)) == 1


async def test_a_run_of_an_earlier_life_of_ours_is_adopted(
    stack: GatewayStack, model: ScriptedModel, tmp_path: Path
) -> None:
    order, life, go_on = order_in(tmp_path), Witness(), threading.Event()
    script(model, order.prompt, lambda: Say("Adopted." if go_on.wait(PATIENCE_S) else "Too late."))
    outcomes: list[Outcome] = []
    async with linked(stack.url) as gateway:
        runner = OpenClawRunner(gateway)
        handle = RunHandle(run_id=order.pulse_id, boot_id=gateway.boot_id)
        assert (await runner.recover(order, handle, life)).kind is OutcomeKind.LOST  # no session
        await runner.open_session(order)

        async def recover() -> None:
            outcomes.append(await runner.recover(order, handle, life))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(recover)  # it never came there, so it begins now
            await asked(model, order)
            # What an earlier life of ours had asked for comes late: it is the same turn.
            turn = {"message": order.prompt, "sessionKey": order.session_key, "timeout": 300}
            late = await gateway.call("agent", {**turn, "idempotencyKey": order.pulse_id})
            assert late["status"] == "in_flight"
            nursery.start_soon(recover)
            go_on.set()
        await recover()
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.SUCCEEDED] * 3
    assert [outcome.output for outcome in outcomes] == ["Adopted."] * 3
    assert len(model.requests(order.prompt)) == 1


async def test_a_session_that_was_deleted_is_made_again(
    stack: GatewayStack, model: ScriptedModel, tmp_path: Path
) -> None:
    order = order_in(tmp_path)
    script(model, order.prompt, Say("Done."))
    async with linked(stack.url) as gateway:
        runner = OpenClawRunner(gateway)
        first = await runner.open_session(order)
        assert await runner.open_session(order) == first
        await gateway.call("sessions.delete", {"key": order.session_key})
        assert await runner.open_session(order) != first
        assert (await runner.run(order, Witness())).kind is OutcomeKind.SUCCEEDED


@asynccontextmanager
async def sidecar(
    gateway: Gateway, home: Path, model: ScriptedModel
) -> AsyncIterator[tuple[MissionControl, str]]:
    """A sidecar with one agent, whose project's id is the marker; the agent's id comes with it."""
    config = Config(listen=ListenSettings(port=0), pulse=FAST)
    async with mission_control.open(home, config, runner=OpenClawRunner(gateway)) as mc:
        project_id = await crew(mc, "coder", project=str(uuid4()))
        script(model, project_id, CallTool("exec", {"command": "echo hi"}), Say("All done."))
        yield mc, f"coder:{project_id}"


async def pulse(mc: MissionControl, agent_id: str) -> None:
    """Run one pulse of an agent to its good end."""
    reads, before = mc.mission.reads, mc.mission.reads.newest_pulse(agent_id)
    async with await mc.subscribe() as changes:
        await mc.call("mission.agent.trigger", instance_id=agent_id)
        with trio.fail_after(PATIENCE_S):
            while (last := reads.newest_pulse(agent_id)) is None or (
                last.ended_at is None or (before is not None and last.id == before.id)
            ):
                await changes.__anext__()
    assert (last.outcome, last.detail) == ("succeeded", "")


async def test_a_session_is_begun_looked_into_lost_begun_afresh_and_destroyed(
    stack: GatewayStack, model: ScriptedModel, tmp_path: Path
) -> None:
    lost = "The host of your conversation lost it or began it anew"
    async with linked(stack.url) as gateway, sidecar(gateway, tmp_path, model) as (mc, me):

        async def session(method: str, **params: Any) -> Any:
            return await mc.call(f"mission.session.{method}", instance_id=me, **params)

        async def told() -> str:
            await pulse(mc, me)
            return model.requests(me.partition(":")[2])[-1].system

        key = (await session("create"))["session"]["key"]
        status = await session("status")
        assert (status["known"], status["known_in_host"], status["busy"]) == (True, True, False)
        assert status["in_host"]["cwd"] == str(mc.mission.home.scope(me.partition(":")[2]).src)
        assert lost not in await told()

        newest = await session("logs", limit=3)
        assert [each["role"] for each in newest["entries"]] == ["assistant", "tool", "assistant"]
        assert newest["entries"][2]["text"] == "All done."
        oldest = await session("logs", limit=3, cursor=newest["earlier"])
        assert [each["role"] for each in oldest["entries"]] == ["user"]
        assert oldest["earlier"] is None

        await gateway.call("sessions.delete", {"key": key})
        assert (await session("status"))["known_in_host"] is False
        assert f"(new): {lost}" in await told()
        await gateway.call("sessions.reset", {"key": key})
        assert f"(new): {lost}" in await told()
        assert f"(new): {lost}" not in await told()

        restarted = (await session("restart"))["session"]
        assert restarted["key"] == key
        after = await session("status")
        assert after["in_host"]["cwd"] == status["in_host"]["cwd"]
        said = (await session("logs"))["entries"]
        assert "assistant" not in [each["role"] for each in said]
        system = await told()
        assert "(new): Your conversation was begun anew" in system
        assert f"(new): {lost}" not in system

        await session("destroy")
        gone = await session("status")
        assert (gone["known"], gone["known_in_host"]) == (False, False)
        assert (await gateway.call("sessions.describe", {"key": key}))["session"] is None


async def test_an_agent_of_the_gateway_becomes_a_soul_and_works(
    stack: GatewayStack, model: ScriptedModel, tmp_path: Path
) -> None:
    soul = stack.root / "work" / "main" / "SOUL.md"
    async with linked(stack.url) as gateway, sidecar(gateway, tmp_path, model) as (mc, me):
        soul.write_text("You have a soul.\n")
        try:
            (listed,) = (await mc.call("mission.agent.import"))["agents"]
            assert (listed["id"], listed["has_soul"]) == ("main", True)
            assert (listed["workspace"], listed["model"]) == (
                str(soul.parent),
                "scripted/scripted-1",
            )
            project_id = me.partition(":")[2]
            await mc.call("mission.agent.import", names=["main"], project_id=project_id)
        finally:
            soul.unlink()
        await pulse(mc, f"main:{project_id}")
        assert "[YOUR SOUL]\nYou have a soul." in model.requests(project_id)[-1].system
        with pytest.raises(NotFound, match="has no SOUL"):
            await mc.call("mission.agent.import", names=["main"])


async def test_the_gateway_refuses_a_wrong_token_with_what_to_do(stack: GatewayStack) -> None:
    with pytest.raises(GatewayRefused, match="check --token-file"):
        async with open_connection(GatewayAddress(stack.url, "wrong"), lambda _: None):
            pass


async def test_a_turn_that_dies_with_the_gateway_is_not_run_twice(
    stack: GatewayStack, model: ScriptedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The Gateway resumes it some five seconds after its start; whoever comes later than that
    # aborts a second call of the model.
    monkeypatch.setattr(_link, "_backoff", wait_fixed(0.2))
    order, finished = order_in(tmp_path), order_in(tmp_path, "writer")
    script(model, order.prompt, Stall("Thinking"))
    script(model, finished.prompt, Say("Written."))
    outcomes: list[Outcome] = []
    async with linked(stack.url) as gateway:
        runner = OpenClawRunner(gateway)
        await runner.open_session(order)
        await runner.open_session(finished)
        written = Witness()
        await runner.run(finished, written)
        assert written.handle

        async def run() -> None:
            outcomes.append(await runner.run(order, Witness()))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await asked(model, order)
            await trio.to_thread.run_sync(stack.kill)
            await trio.to_thread.run_sync(stack.start)
        assert [outcome.kind for outcome in outcomes] == [OutcomeKind.LOST]
        assert not await is_active(gateway, order)
        known = await gateway.call("sessions.describe", {"key": order.session_key})
        assert known["session"].get("abortedLastRun") is not True  # so it is not resumed
        recovered = await runner.recover(finished, written.handle, Witness())
        assert recovered.kind is OutcomeKind.SUCCEEDED
        assert recovered.output == "Written."
        assert recovered.tokens == 110
        again = order_in(tmp_path)
        script(model, again.prompt, Say("Second attempt."))
        await runner.open_session(again)
        assert (await runner.run(again, Witness())).output == "Second attempt."
    # One, or where the machine is too slow for the five seconds, one more that was aborted.
    assert len(model.requests(order.prompt)) <= 2
