"""Agents that are local commands, under a sidecar, inside their projects."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

import mission_control
from mission_control import MissionControl
from mission_control.actors import landlock_abi
from mission_control.config import Config, ProcessSettings
from mission_control.storage import Invalid, TaskStatus
from rig import crew, until

pytestmark = pytest.mark.slow

CLI = f"{shlex.quote(sys.executable)} -m mission_control"

WORK = f"""
cat > seen
echo made > made
echo noted >> ../agents/shuri/working.md
{CLI} log "I begin" || exit 3
cat ../../../mission-control.token && exit 4
echo x > ../KANBAN.md && exit 5
{CLI} task move "$MISSION_CONTROL_TASK_ID" done || exit 6
"""


def config(**process: Any) -> Config:
    from mission_control.config import ListenSettings, PulseDefaults  # noqa: PLC0415

    return Config(
        listen=ListenSettings(port=0),
        pulse=PulseDefaults(interval_s=3600.0, max_retries=1, tick_s=3600.0),
        process=ProcessSettings(**process),
    )


async def work(mc: MissionControl, script: str) -> str:
    """Let an agent run *script* for a task; return the task's id when it rests."""
    project_id = await crew(mc)
    command = ["/bin/sh", "-c", script]
    who = {"soul": "shuri", "project_id": project_id, "command": command}
    await mc.call("mission.agent.create", **who)
    answer = await mc.call(
        "mission.task.create", project_id=project_id, title="t", assignee_id="shuri"
    )
    task_id = str(answer["task_id"])

    def rests() -> bool:
        pulses = mc.mission.reads.pulses_of_task(task_id)
        return any(pulse.ended_at for pulse in pulses)

    await until(mc, rests)
    return task_id


async def test_an_agent_works_with_the_command_line_inside_its_project(tmp_path: Path) -> None:
    async with mission_control.open(tmp_path / "home", config()) as mc:
        refused = WORK if landlock_abi() else WORK.replace("&& exit", "|| exit")
        task_id = await work(mc, refused)
        pulse = mc.mission.reads.pulses_of_task(task_id)[0]
        assert (pulse.outcome, pulse.detail) == ("succeeded", "")
        assert mc.mission.reads.task(task_id).status is TaskStatus.DONE
        thoughts = [event.thought for event in mc.mission.reads.events(task_id=task_id)]
        assert "I begin" in thoughts
        src = mc.mission.home.scope("p").src
        assert (src / "made").read_text() == "made\n"
        assert "[SYSTEM STATUS UPDATE]" in (src / "seen").read_text()
        if landlock_abi():
            told = (await mc.call("mission.system.status"))["confinement"]
            assert "held inside their projects" in told


async def test_a_sidecar_says_when_nothing_holds_commands(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with mission_control.open(tmp_path / "home", config(landlock="off")) as mc:
        told = (await mc.call("mission.system.status"))["confinement"]
    assert told == "agents' commands may write wherever this user may: process.landlock is off"
    assert told in caplog.text


async def test_an_agent_is_created_with_a_profile_or_a_command_and_never_an_unknown_one(
    tmp_path: Path,
) -> None:
    async with mission_control.open(tmp_path / "home", config()) as mc:
        project_id = await crew(mc)
        who = {"soul": "shuri", "project_id": project_id}
        for wrong in (
            {"profile": "aider"},
            {"command": ["@aider"]},
            {"profile": "claude", "command": ["x"]},
        ):
            with pytest.raises(Invalid) as refusal:
                await mc.call("mission.agent.create", **who, **wrong)
            assert refusal.value.details["field"] == "profile"
        assert not mc.mission.reads.has_agent("shuri:p")
        made = await mc.call("mission.agent.create", **who, profile="claude")
        assert made["agent"]["command"] == ["@claude"]
