"""The corpus through every door of a whole sidecar, and the command line as people run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import trio

from files_doors import DOORS
from files_sandbox import run_in_sandbox
from mission_control import MissionControl
from mission_control.actors import Life, Outcome, PulseOrder
from rig import DONE, Open, ScriptedRunner, crew, until
from system_doors import idle

from .test_corpus import CASES, MOUNTS, wrong


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_gets_through_any_door_and_nothing_is_wrongly_refused() -> None:
    results = run_in_sandbox("files_doors:run_cases")
    assert not wrong(results)
    through = Counter(result["door"] for result in results)
    assert set(through) == {*DOORS, "tool of an agent"}
    for door in DOORS:
        assert through[door] >= CASES - MOUNTS - 3, door
    assert through["tool of an agent"] > 180


class Shell:
    """The command line, in processes of its own, on the home of a sidecar that runs here."""

    def __init__(self, mc: MissionControl, **environment: str) -> None:
        self._home = str(mc.mission.home.path)
        clean = {name: value for name, value in os.environ.items() if "MISSION_CONTROL" not in name}
        self._environment = clean | environment

    async def __call__(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return await trio.run_process(
            [sys.executable, "-m", "mission_control", "--home", self._home, "file", *words],
            stdin=stdin,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env=self._environment,
        )

    async def good(self, *words: str, stdin: bytes = b"") -> bytes:
        done = await self(*words, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(name="mc")
async def sidecar(open_home: Open) -> AsyncIterator[MissionControl]:
    async with open_home(idle()) as mc:
        await crew(mc, "shuri")
        yield mc


@pytest.mark.slow
async def test_a_person_moves_bytes_through_pipes(mc: MissionControl) -> None:
    shell, src = Shell(mc, MISSION_CONTROL_PROJECT_ID="p"), mc.mission.home.scope("p").src
    data = os.urandom(3 << 19)  # more than one call reads
    await shell.good("write", "src/a b", stdin=data)
    assert (src / "a b").read_bytes() == data
    assert await shell.good("read", "src/a b") == data
    assert b"a b" in await shell.good("ls", "src")


@pytest.mark.slow
async def test_a_refusal_has_its_exit_code_and_names_no_folder_of_the_host(
    mc: MissionControl,
) -> None:
    shell = Shell(mc)
    for words, code in (
        (("read", "../../mission-control.token"), 77),
        (("stat", "src/a\u200bb"), 64),
    ):
        done = await shell(words[0], "--project", "p", words[1])
        assert (done.returncode, done.stdout) == (code, b""), words
        assert str(mc.mission.home.path).encode() not in done.stderr


@pytest.mark.slow
async def test_a_command_that_an_agent_runs_is_the_agents(open_home: Open) -> None:
    seen: list[int] = []

    async def script(order: PulseOrder, life: Life) -> Outcome:
        shell = Shell(
            mc,
            MISSION_CONTROL_URL=mc.url,
            MISSION_CONTROL_TOKEN=order.token,
            MISSION_CONTROL_PROJECT_ID=order.project_id,
        )
        await shell.good("write", "src/mine", stdin=b"x")
        seen.append((await shell("write", "top.txt", stdin=b"x")).returncode)
        seen.append((await shell("ls", "--project", "q")).returncode)
        return DONE

    async with open_home(ScriptedRunner(script)) as mc:
        await crew(mc, project="Q")
        await crew(mc, "shuri")
        await mc.call("mission.task.create", project_id="p", title="T", assignee_id="shuri")
        await until(mc, lambda: len(seen) == 2)
        assert seen == [77, 77]
        events = mc.mission.reads.events(project_id="p")
        told = [(e.agent_id, json.loads(e.action)["path"]) for e in events if e.kind == "file"]
        assert told == [("shuri:p", "src/mine")]
