"""The whole way: a crew of two works in a real OpenClaw Gateway, through the plugin.

Sidecar and plugin are installed and started as a user would, the plugin while the Gateway runs;
only the model is ours, and the Telegram by which a person is asked.
"""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from mission_control.doctor import Level, examine_gateway
from mission_control.gateway_bridge import Client
from mission_control.gateway_bridge._connection import Connection, open_connection
from mission_control.gateway_bridge._frames import Event, Settled
from openclaw_paths import OpenClaw

from .factory import Factory, install
from .fake_telegram import FakeTelegram
from .gateway_stack import GatewayStack, free_port
from .scripted_model import CallTool, ModelRequest, Say, ScriptedModel, Step

pytestmark = [pytest.mark.openclaw, pytest.mark.slow, pytest.mark.timeout(300)]

PROMPT = re.compile(
    r"Work on your task '(?P<title>[^']*)' \(ID: (?P<id>[0-9a-f-]+)\)|distill_memory"
)
ACTIVE = re.compile(r"- Active Task: .*")
"""A line of the status text that stands nowhere else."""
PATIENCE_S = 120.0
MARIA, STRANGER = "4242", "777"
SETTINGS = f"""
[pulse]
retry_delay_s = 0.5
tick_s = 2.0

[help]
channel = "telegram"
to = "{MARIA}"
"""

GATE = threading.Event()
"""What the task `Wait for me` waits for, in the model's thread."""


def crew_script(request: ModelRequest) -> Step:
    """Play both agents: what to do next stands in the conversation."""
    asked = [m for role, text in request.messages if role == "user" for m in PROMPT.finditer(text)]
    if not asked:
        return Say("nobody asked me to work")
    prompt = asked[-1]
    step = request.replies_since(prompt[0])
    if prompt["id"] is None:
        return CallTool("distill_memory", {"summary": "Small steps."}) if step == 0 else Say("Ok.")
    return work(request, prompt["title"], step)


def work(request: ModelRequest, title: str, step: int) -> Step:
    everything = "\n".join(text for _, text in request.messages)
    seen = ACTIVE.findall(everything)
    thought = CallTool("log_event", {"thought": seen[-1] if seen else "I see no status text"})
    if title == "Ask the human" and "Answer to your question" not in everything:
        question = CallTool("request_help", {"issue": "Red or blue in Vec<T>?"})
        asking: tuple[Step, ...] = (thought, question, Say("I wait."))
        return asking[min(step, 2)]
    if title == "Wait for me":
        GATE.wait(PATIENCE_S)
    if title == "Leave the scope":
        leaving: tuple[Step, ...] = (
            thought,
            CallTool("write", {"path": "../../../escaped.txt", "content": "x"}),
            CallTool("write", {"path": "../KANBAN.md", "content": "mine"}),
            CallTool("read", {"path": "/etc/passwd"}),
            CallTool("read", {"path": "../KANBAN.md"}),
            CallTool("exec", {"command": "ln -s nothing link; echo ran"}),
            CallTool("mission_task", {"action": "move", "new_status": "done"}),
            Say("I tried."),
        )
        return leaving[min(step, 7)]
    file = title.lower().replace(" ", "-") + ".txt"
    steps: tuple[Step, ...] = (
        thought,
        CallTool("write", {"path": file, "content": title}),
        CallTool("mission_task", {"action": "move", "new_status": "done"}),
        Say(f"Done with {title}."),
    )
    return steps[min(step, 3)]


@pytest.fixture(scope="module")
def telegram() -> Iterator[FakeTelegram]:
    with FakeTelegram() as telegram:
        yield telegram


@pytest.fixture(scope="module")
def factory(
    openclaw: OpenClaw, telegram: FakeTelegram, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Factory]:
    root = tmp_path_factory.mktemp("crew")
    home, port = root / "mission-home", free_port()
    home.mkdir()
    (home / "mission-control.toml").write_text(SETTINGS)
    with ScriptedModel(crew_script) as model:
        stack = GatewayStack(
            openclaw,
            root / "gateway",
            model.url,
            plugins={"enabled": True, "allow": ["telegram"], "slots": {"memory": "none"}},
            tools=("read", "write", "exec", "mission-control"),
            channels=telegram.settings(MARIA),
        )
        with stack:
            install(stack, home, port)
            yield Factory(stack, model, home, port)


def test_the_installation_kept_the_users_settings(factory: Factory) -> None:
    before = factory.stack.settings()
    after = json.loads((factory.stack.root / "openclaw.json").read_text())
    plugins = after.pop("plugins")
    assert plugins["allow"] == ["telegram", "mission-control"]
    assert plugins["slots"] == {"memory": "none"}
    assert {name: after[name] for name in before if name != "plugins"} == {
        name: value for name, value in before.items() if name != "plugins"
    }


async def test_the_doctor_finds_the_plugin_and_its_tools_and_warns_of_the_open_sandbox(
    factory: Factory, tmp_path: Path
) -> None:
    address = factory.stack.address
    connected = "connected to Mission Control"
    before = factory.stack.said(connected)
    with factory.sidecar():
        with trio.fail_after(PATIENCE_S):
            while factory.stack.said(connected) == before:  # noqa: ASYNC110 - another process
                await trio.sleep(0.05)
        findings = await examine_gateway(address, "main", factory.home)
        found = {finding.topic: finding for finding in findings}
        well = ("Gateway", "clocks", "plugin", "plugin's link", "prompt hook", "agent tools")
        faults = {topic: found[topic] for topic in well if found[topic].level is not Level.OK}
        assert faults == {}
        assert found["sandbox"].level is Level.WARNING
        elsewhere = await examine_gateway(address, "main", tmp_path)
    (fault,) = (finding for finding in elsewhere if finding.level is Level.FAULT)
    assert f"another home than {tmp_path}" in fault.text


async def test_the_doctor_tells_of_an_agent_that_the_gateway_does_not_have(
    factory: Factory,
) -> None:
    address = factory.stack.address
    findings = await examine_gateway(address, "nobody", factory.home)
    assert "plugin's link" in [each.topic for each in findings if each.level is Level.WARNING]
    faults = [finding for finding in findings if finding.level is Level.FAULT]
    assert [finding.topic for finding in faults] == ["agent tools"]


async def test_a_person_is_asked_in_a_chat_and_answers_there(
    factory: Factory, telegram: FakeTelegram
) -> None:
    with factory.sidecar():
        async with factory.client() as client:
            await client.call("mission.subscribe")
            await client.call("mission.project.init", project_name="Asked")
            await client.call("mission.agent.create", instance_id="okoye:asked")
            await client.call(
                "mission.task.create",
                project_id="asked",
                title="Ask the human",
                assignee_id="okoye",
            )
            letter = await trio.to_thread.run_sync(telegram.wait_for, "Answer with:")
            assert letter.startswith("okoye:asked asks about 'Ask the human' (normal):")
            assert "Red or blue in Vec<code>&lt;T&gt;</code>?" in letter
            answer = re.search(r"/mission answer \w+", letter)
            assert answer
            telegram.write(STRANGER, f"{answer[0]} Red.")
            telegram.write(MARIA, f"{answer[0]} Blue.")

            async def done() -> bool:
                return await statuses(client, "asked") == {"Ask the human": "done"}

            await until(client, done)
            (asked,) = (await client.call("mission.help.list", state="answered"))["help_requests"]
    assert (asked["answer"], asked["answered_by"]) == ("Blue.", f"telegram:{MARIA}")
    await trio.to_thread.run_sync(telegram.wait_for, "Thank you: okoye:asked goes on.")
    assert {person for person, text in telegram.sent if "Answer with:" in text} == {MARIA}


async def until(client: Client, condition: Callable[[], Any], *, answering: bool = False) -> None:
    """Wait for *condition*, looking again after every event; answer what is asked meanwhile."""
    with trio.fail_after(PATIENCE_S):
        while not await condition():
            event = await client.events.receive()
            if answering and event["method"] == "mission.help_requested":
                help_id = event["params"]["id"]
                await client.call("mission.help.answer", help_id=help_id, answer="Blue.")


async def statuses(client: Client, project_id: str) -> dict[str, str]:
    tasks = (await client.call("mission.task.list", project_id=project_id))["tasks"]
    return {task["title"]: task["status_name"] for task in tasks}


async def history(connection: Connection, key: str) -> str:
    answer = await connection.call("chat.history", {"sessionKey": key, "limit": 500})
    return str(answer["messages"])


async def test_a_crew_of_two_does_four_tasks_and_asks_once(factory: Factory) -> None:
    heard: list[Event | Settled] = []
    with factory.sidecar():
        async with (
            factory.client() as client,
            open_connection(factory.stack.address, heard.append) as gateway,
        ):
            await client.call("mission.subscribe")
            project = await client.call("mission.project.init", project_name="Vidsnap")
            project_id = project["project_id"]
            for soul in ("shuri", "okoye"):
                await client.call("mission.agent.create", soul=soul, project_id=project_id)
            ids: list[str] = []
            for title, soul in (
                ("Sketch it", "shuri"),
                ("Ask the human", "okoye"),
                ("Build it", "shuri"),
                ("Test it", "okoye"),
            ):
                task = await client.call(
                    "mission.task.create",
                    project_id=project_id,
                    title=title,
                    assignee_id=soul,
                    depends_on=ids[-1:] if title in ("Build it", "Test it") else [],
                )
                ids.append(task["task_id"])

            async def all_rest() -> bool:
                agents = (await client.call("mission.agent.list", project_id=project_id))["agents"]
                rest = all(agent["status"] == "idle" for agent in agents)
                return rest and set((await statuses(client, project_id)).values()) == {"done"}

            await until(client, all_rest, answering=True)

            # The board that operators read through the Gateway, and the files, say the same.
            through = await gateway.call("mission.task.list", {"project_id": project_id})
            assert {t["title"]: t["status_name"] for t in through["tasks"]} == dict.fromkeys(
                ("Sketch it", "Ask the human", "Build it", "Test it"), "done"
            )
            scope = factory.home / "projects" / project_id
            kanban = (scope / "KANBAN.md").read_text()
            assert "## Done (4)" in kanban
            assert kanban.count("- [x]") == 4
            assert (scope / "src" / "build-it.txt").read_text() == "Build it"
            assert "shuri learned from" in (scope / "CHRONICLE.md").read_text()

            # The transcript in the Gateway shows that the model saw the status text.
            for soul, title, id_ in (("shuri", "Build it", ids[2]), ("okoye", "Test it", ids[3])):
                said = await history(gateway, f"agent:main:mc:{project_id}:{soul}")
                assert f"- Active Task: {title} (ID: {id_})" in said
            events = await client.call("mission.event.list", project_id=project_id, limit=200)
            thoughts = [e for e in events["events"] if e["kind"] == "thought"]
            assert {e["agent_id"] for e in thoughts} == {
                f"shuri:{project_id}",
                f"okoye:{project_id}",
            }
            assert not any("no status text" in e["thought"] for e in thoughts)

            names = {h.name for h in heard if isinstance(h, Event)}
            assert {
                f"plugin.mission-control.{n}" for n in ("task_updated", "help_requested")
            } <= names


async def test_a_turn_that_runs_while_the_sidecar_is_killed_is_adopted_by_the_next(
    factory: Factory,
) -> None:
    GATE.clear()
    with factory.sidecar() as first:
        async with factory.client() as client:
            await client.call("mission.project.init", project_name="Adopted")
            await client.call("mission.agent.create", instance_id="shuri:adopted")
            task = await client.call(
                "mission.task.create",
                project_id="adopted",
                title="Wait for me",
                assignee_id="shuri",
            )
        task_id = task["task_id"]
        await trio.to_thread.run_sync(factory.model.wait_for, task_id)
        first.send_signal(signal.SIGKILL)
        first.wait()

    with factory.sidecar():
        async with factory.client() as client:
            await client.call("mission.subscribe")
            agent = await client.call("mission.agent.get_state", instance_id="shuri:adopted")
            assert agent["pulse"]["state"] == "running"
            GATE.set()

            async def done() -> bool:
                return await statuses(client, "adopted") == {"Wait for me": "done"}

            await until(client, done)
    async with open_connection(factory.stack.address, lambda _: None) as gateway:
        said = await history(gateway, "agent:main:mc:adopted:shuri")
    assert said.count(f"Work on your task 'Wait for me' (ID: {task_id})") == 1


async def test_the_gateways_own_tools_are_held_inside_the_project(factory: Factory) -> None:
    with factory.sidecar():
        async with factory.client() as client:
            await client.call("mission.subscribe")
            await client.call("mission.project.init", project_name="Held")
            project_id = "held"
            await client.call("mission.agent.create", soul="shuri", project_id=project_id)
            await client.call(
                "mission.task.create",
                project_id=project_id,
                title="Leave the scope",
                assignee_id="shuri",
            )

            async def done() -> bool:
                return await statuses(client, project_id) == {"Leave the scope": "done"}

            await until(client, done)
    async with open_connection(factory.stack.address, lambda _: None) as gateway:
        told = await history(gateway, f"agent:main:mc:{project_id}:shuri")
    assert "write refused: '../../../escaped.txt' is outside your project" in told
    assert "write refused: '../KANBAN.md' is kept by Mission Control" in told
    assert "read refused: '/etc/passwd' is outside your project" in told
    assert "[Mission Control] `ln -s nothing link` makes a link." in told
    assert "root:" not in told
    assert "# Held" in told, "the board may be read"
    assert not (factory.home / "escaped.txt").exists()
    kanban = (factory.home / "projects" / project_id / "KANBAN.md").read_text()
    assert "Leave the scope" in kanban
