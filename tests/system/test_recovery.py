"""What outlives an attempt or the sidecar: open rows, processes, and words that come too late."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import mission_control
from mission_control import Config, MissionControl
from mission_control.actors import group_exists
from mission_control.config import ListenSettings, ProcessSettings
from mission_control.storage import (
    Command,
    Fence,
    Forbidden,
    PulseState,
    Reads,
    TaskStatus,
    agent_lease,
)
from mission_control.storage.commands import (
    CreateTask,
    DistillMemory,
    LogEvent,
    MoveTask,
    RequestHelp,
    SendMessage,
    UpdateChronicle,
)
from rig import FAST, Open, crew, until
from system_command import COMMAND, Sidecar, environment, sidecar
from system_doors import Wire, busy, call, idle, post, websocket
from system_processes import workers

LOCAL = Config(
    listen=ListenSettings(port=0),
    pulse=attrs.evolve(FAST, interval_s=60.0),
    process=ProcessSettings(grace_s=4.0),
)


async def task(mc: MissionControl) -> str:
    answer = await mc.call("mission.task.create", project_id="p", title="x", assignee_id="shuri")
    return str(answer["task_id"])


def at_rest(mc: MissionControl) -> bool:
    return mc.mission.reads.open_pulse("shuri:p") is None


def at_work(mc: MissionControl) -> bool:
    """Whether an attempt runs, and how it is found again is recorded."""
    pulse = mc.mission.reads.open_pulse("shuri:p")
    return pulse is not None and pulse.state is PulseState.RUNNING


def clear(home: Path) -> None:
    """End whatever works for *home*, so that a test that fails leaves nothing behind."""
    while left := workers(home):
        for pid in left:
            with suppress(ProcessLookupError):
                os.killpg(os.getpgid(pid), signal.SIGKILL)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    clear(tmp_path / "home")


@attrs.frozen
class Stubborn:
    """A command that does not end when it is asked to, and says into a pipe what befalls it."""

    pipe: Path

    @property
    def command(self) -> list[str]:
        said = f"> {self.pipe}"
        # Without a word on a pipe that nobody reads any more: that would be its end.
        quiet = "exec > /dev/null 2>&1"
        return ["sh", "-c", f"{quiet}; trap 'echo asked {said}' TERM; echo up {said}; {FOREVER}"]

    def says(self) -> str:
        """Wait for the next word."""
        return self.pipe.read_text().strip()


FOREVER = "while :; do sleep 60; done"


@pytest.fixture
def stubborn(tmp_path: Path) -> Stubborn:
    os.mkfifo(tmp_path / "said")
    return Stubborn(tmp_path / "said")


@attrs.frozen
class Left:
    """What a killed sidecar left."""

    pulse_id: str
    group: int


def kill_at_work(
    home: Path, stubborn: Stubborn, before: Callable[[Sidecar], None] = lambda _: None
) -> Left:
    """Kill a sidecar whose agent works, after doing something else to it."""
    settings = {
        "MISSION_CONTROL_PROCESS_GRACE_S": "60",
        "MISSION_CONTROL_PROCESS_WRITE": json.dumps([str(stubborn.pipe)]),
    }
    with sidecar(home, **settings) as running:
        running.call("mission.project.init", project_name="P")
        who = {"soul": "shuri", "project_id": "p", "command": stubborn.command}
        running.call("mission.agent.create", **who)
        running.call("mission.task.create", project_id="p", title="x", assignee_id="shuri")
        assert stubborn.says() == "up"
        before(running)
        running.process.kill()
        running.process.wait()
    reads = Reads(home / "mission-control.db")
    pulse = reads.open_pulse("shuri:p")
    reads.close()
    assert pulse is not None
    assert pulse.process_group is not None
    assert group_exists(pulse.process_group)
    return Left(pulse.id, pulse.process_group)


@pytest.mark.slow
async def test_a_stop_in_the_middle_of_recovery_leaves_no_process_and_no_second_attempt(
    home: Path, stubborn: Stubborn
) -> None:
    left = await trio.to_thread.run_sync(kill_at_work, home, stubborn)
    async with mission_control.open(home, LOCAL):
        assert await trio.to_thread.run_sync(stubborn.says) == "asked"
    assert workers(home) == {}
    async with mission_control.open(home, LOCAL) as mc:
        await until(mc, lambda: mc.mission.reads.pulse(left.pulse_id).ended_at is not None)
        await until(mc, lambda: at_work(mc))
        first, second = mc.mission.reads.pulses_of_task(mc.mission.reads.board("p")[0].id)
        assert first.ended_at is not None
        assert first.ended_at <= second.started_at
        assert set(workers(home).values()) <= {second.id}
    assert workers(home) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("mission.agent.destroy", {"instance_id": "shuri:p"}),
        ("mission.project.archive", {"project_id": "p"}),
    ],
)
async def test_a_sidecar_killed_while_it_puts_an_agent_away_leaves_its_run_to_the_next(
    home: Path, stubborn: Stubborn, method: str, params: dict[str, str]
) -> None:
    asking: list[subprocess.Popen[bytes]] = []

    def put_away(running: Sidecar) -> None:
        words = [COMMAND, "--home", str(home), "call", method, json.dumps(params)]
        quiet = subprocess.DEVNULL
        asking.append(subprocess.Popen(words, stdout=quiet, stderr=quiet, env=environment()))
        assert stubborn.says() == "asked"

    left = await trio.to_thread.run_sync(kill_at_work, home, stubborn, put_away)
    assert asking[0].wait() != 0
    async with mission_control.open(home, LOCAL) as mc:
        await until(mc, lambda: mc.mission.reads.pulse(left.pulse_id).ended_at is not None)
        assert not group_exists(left.group)
        assert mc.mission.reads.pulse(left.pulse_id).outcome == "lost"
        await mc.call(method, **params)
        assert workers(home) == {}


FLEES = """
import os, sys, time
lives = os.open(sys.argv[1], os.O_WRONLY)  # open for as long as any of them lives
ready, told = os.pipe()
if os.fork():
    os.read(ready, 1)
    os._exit(0)
os.setsid()
os.write(lives, str(os.getpgrp()).encode())
os.write(told, b"x")
end = time.monotonic() + 20  # whatever becomes of the test
while time.monotonic() < end:
    time.sleep(0.02)  # the pace of the process that is looked for
    if os.fork():
        os._exit(0)
"""


@pytest.mark.slow
async def test_a_process_that_fled_its_group_and_changes_its_number_ends_with_its_attempt(
    home: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "lives")
    lives = os.open(tmp_path / "lives", os.O_RDONLY | os.O_NONBLOCK)
    group = 0
    try:
        told = attrs.evolve(LOCAL.process, write=(str(tmp_path / "lives"),))
        async with mission_control.open(home, attrs.evolve(LOCAL, process=told)) as mc:
            await mc.call("mission.project.init", project_name="P")
            flees = [sys.executable, "-c", FLEES, str(tmp_path / "lives")]
            await mc.call("mission.agent.create", soul="shuri", project_id="p", command=flees)
            task_id = await task(mc)
            reads = mc.mission.reads
            await until(mc, lambda: any(p.ended_at for p in reads.pulses_of_task(task_id)))
            group = int(os.read(lives, 20))
            assert os.read(lives, 1) == b"", "nobody holds the other end"
            assert reads.pulses_of_task(task_id)[0].outcome == "succeeded"
    finally:
        os.close(lives)
        if group:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


async def test_a_run_that_nobody_could_be_asked_about_is_recovered_by_whoever_can_ask(
    open_home: Open,
) -> None:
    first = busy()
    async with open_home(first) as mc:
        await crew(mc, "shuri")
        task_id = await task(mc)
        await until(mc, lambda: at_work(mc))
        first.away = "the Gateway is away"
    second = busy()
    second.away = "the Gateway is away"
    async with open_home(second) as mc:
        left = mc.mission.reads.open_pulse("shuri:p")
        assert left is not None
        # The run may act before it is recovered: it is known already who that is.
        await until(mc, lambda: mc.mission.tokens.of_agent("shuri:p") is not None)
        identity = mc.mission.tokens.of_agent("shuri:p")
        assert identity is not None
        assert identity.pulse_id == left.id
        await trio.sleep(0.3)  # time enough to begin another, or to close this one
        assert (second.orders, mc.mission.reads.open_pulse("shuri:p")) == ([], left)
    third = busy()
    async with open_home(third) as mc:
        await until(mc, lambda: bool(third.orders))
        assert (second.recovered, third.recovered) == ([], [left.id])
        recovered, following = mc.mission.reads.pulses_of_task(task_id)
        assert (recovered.id, recovered.outcome) == (left.id, "lost")
        assert recovered.ended_at is not None
        assert recovered.ended_at <= following.started_at


@pytest.mark.slow
async def test_a_command_is_ended_by_a_sidecar_that_runs_pulses_elsewhere_now(
    home: Path, stubborn: Stubborn
) -> None:
    left = await trio.to_thread.run_sync(kill_at_work, home, stubborn)
    elsewhere = busy()
    elsewhere.away = "the Gateway is away"  # which is no reason to let a command of ours go on
    async with mission_control.open(home, LOCAL, runner=elsewhere) as mc:
        await until(mc, lambda: mc.mission.reads.pulse(left.pulse_id).ended_at is not None)
        assert not group_exists(left.group)
        assert workers(home) == {}
        ended = mc.mission.reads.pulse(left.pulse_id)
        assert (ended.outcome, elsewhere.recovered) == ("lost", [])
        assert ended.effects


async def test_a_run_of_a_runner_that_is_gone_is_lost_and_its_deeds_are_asked_about(
    open_home: Open,
) -> None:
    first = busy()
    async with open_home(first) as mc:
        await crew(mc, "shuri")
        asked = {"project_id": "p", "title": "x", "assignee_id": "shuri", "side_effects": True}
        task_id = str((await mc.call("mission.task.create", **asked))["task_id"])
        await until(mc, lambda: at_work(mc))
        first.away = "the Gateway is away"
    second = attrs.evolve(busy(), name="another")
    async with open_home(second) as mc:
        await until(mc, lambda: mc.mission.reads.open_help(task_id) is not None)
        (lost,) = mc.mission.reads.pulses_of_task(task_id)
        assert (lost.outcome, second.recovered, second.orders) == ("lost", [], [])
        assert "scripted" in lost.detail


@asynccontextmanager
async def plugin(mc: MissionControl) -> AsyncIterator[Wire]:
    async with websocket(mc, "/bridge", subprotocols=("mission-bridge.v1",)) as wire:
        hello = call("bridge.hello", token=mc.token, protocol=1, hooks=False)
        assert "result" in await wire.ask(hello)
        yield wire


async def use(wire: Wire, session_key: str, tool: str, args: dict[str, Any]) -> Any:
    """Call a tool, and return its answer; events may come in between."""
    caller = {"sessionKey": session_key, "runId": "of the ended attempt"}
    question = call("tool.call", tool=tool, args=args, caller=caller)
    await wire.send(question)
    while (message := await wire.receive()).get("id") != question["id"]:
        assert message["method"] == "event"
    return message


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("mission_task", {"action": "move", "new_status": "done"}),
        ("mission_task", {"action": "create", "title": "one more"}),
        ("log_event", {"thought": "late"}),
        ("request_help", {"issue": "late"}),
        ("update_chronicle", {"summary": "late"}),
        ("distill_memory", {"summary": "late"}),
    ],
    ids=["move", "create", "log", "help", "chronicle", "distill"],
)
async def test_a_tool_call_that_outlived_its_attempt_reads_and_writes_nothing(
    open_home: Open, tool: str, args: dict[str, Any]
) -> None:
    runner = idle()
    async with open_home(runner) as mc, plugin(mc) as wire:
        await crew(mc, "shuri")
        await task(mc)
        await until(mc, lambda: bool(runner.orders) and at_rest(mc))
        key = runner.orders[0].session_key
        before = mc.mission.reads.last_seq()
        refused = await use(wire, key, tool, args)
        assert refused["error"]["data"]["kind"] == "forbidden"
        assert mc.mission.reads.last_seq() == before
        assert "result" in await use(wire, key, "mission_task", {"action": "get"})


async def test_a_token_that_outlived_its_attempt_opens_nothing(open_home: Open) -> None:
    runner = idle()
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        task_id = await task(mc)
        await until(mc, lambda: bool(runner.orders) and at_rest(mc))
        done = call("mission.task.move", task_id=task_id, new_status="done")
        assert (await post(mc, done, token=runner.orders[0].token)).status == 401
        assert mc.mission.reads.task(task_id).status is TaskStatus.IN_PROGRESS


async def test_a_write_that_was_under_way_when_its_attempt_ended_is_refused(
    open_home: Open,
) -> None:
    runner = idle()
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        task_id = await task(mc)
        await until(mc, lambda: bool(runner.orders) and at_rest(mc))
        fence = Fence(
            agent_lease("shuri:p"), mc.mission.reads.pulse(runner.orders[0].pulse_id).fence
        )
        late: list[Command[Any]] = [
            MoveTask(task_id, TaskStatus.DONE, by_agent="shuri:p"),
            LogEvent(task_id, "late", by_agent="shuri:p"),
            RequestHelp(task_id, "late", by_agent="shuri:p"),
            CreateTask("p", "late"),
            DistillMemory("shuri:p", "late"),
            SendMessage("shuri:p", "late"),
            UpdateChronicle("p", "late"),
        ]
        before = mc.mission.reads.last_seq()
        for command in late:
            with pytest.raises(Forbidden, match="too late: the attempt"):
                await mc.mission.commit("p", command, by="shuri:p", fence=fence)
        assert mc.mission.reads.last_seq() == before
