"""What the process runner gives a command, hears of it, and keeps from it; real processes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio

from mission_control.actors import (
    Confinement,
    LandlockMode,
    OutcomeKind,
    ProcessRunner,
    Progress,
    PulseOrder,
    RunHandle,
)
from mission_control.actors._environment import PASSED_ON
from mission_control.actors._open_files import OpenFiles
from mission_control.actors._processes import group_exists, strays
from mission_control.actors._stand_ins import CACHES, GIT

pytestmark = pytest.mark.slow

SECRET = "planted-secret"
PLANTED = {
    "MISSION_CONTROL_TOKEN_FILE": SECRET,
    "MISSION_CONTROL_GATEWAY_TOKEN_FILE": SECRET,
    "OPENCLAW_GATEWAY_TOKEN": SECRET,
    "ANTHROPIC_API_KEY": SECRET,
    "OPENAI_API_KEY": SECRET,
    "GEMINI_API_KEY": SECRET,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "GITHUB_TOKEN": SECRET,
    "SSH_AUTH_SOCK": SECRET,
    "LD_PRELOAD": "",
}

BOTH = pytest.mark.parametrize("mode", [LandlockMode.OFF, LandlockMode.AUTO])
"""As it is where nothing holds commands, and as it is where this kernel can."""


class Heard:
    """A life that notes its signs."""

    def __init__(self) -> None:
        self.signs = 0
        self.spoke = trio.Event()
        self.handle: RunHandle | None = None
        self.progress: Progress | None = None

    def sign(self, what: str) -> None:
        self.signs += 1
        self.spoke.set()

    async def started(self, handle: RunHandle) -> None:
        self.handle = handle

    def cut_short(self, progress: Progress) -> None:
        self.progress = progress


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "home" / "projects" / "p"
    (project / "src").mkdir(parents=True)
    return project


def order(project: Path, *command: str) -> PulseOrder:
    return PulseOrder(
        agent_id="shuri:p",
        session_key="key",
        cwd=project / "src",
        pulse_id=f"runner-{os.getpid()}-{project.parent.parent.parent.name.lower()}",
        project_id="p",
        soul="shuri",
        kind="work",
        task_id="T1",
        task_title="Title",
        attempt=2,
        scope=project,
        status_text="STATUS äöü",
        prompt="Do it.",
        timeout_s=60.0,
        command=command,
        token="agents-own-token",
    )


def runner(
    mode: LandlockMode, *pass_on: str, environ: Mapping[str, str] | None = None
) -> ProcessRunner:
    return ProcessRunner(
        lambda: "http://127.0.0.1:9",
        environ={**os.environ, **PLANTED, **(environ or {})},
        pass_on=pass_on,
        confinement=Confinement(mode),
    )


SHOW = "import json, os, sys; print(json.dumps([dict(os.environ), sys.stdin.read()]))"


async def shown(made: ProcessRunner, wanted: PulseOrder) -> tuple[dict[str, str], str]:
    outcome = await made.run(wanted, Heard())
    assert outcome.kind is OutcomeKind.SUCCEEDED, outcome
    environ, text = json.loads(outcome.output)
    return environ, text


@BOTH
async def test_a_command_is_told_who_it_is_and_sees_no_secret_of_ours(
    project: Path, mode: LandlockMode
) -> None:
    environ, text = await shown(runner(mode), order(project, sys.executable, "-c", SHOW))
    assert text == "STATUS äöü"
    assert SECRET not in environ.values()
    ours = {name for name in environ if name.startswith("MISSION_CONTROL_")}
    assert ours == {
        f"MISSION_CONTROL_{name}"
        for name in (
            "AGENT_ID",
            "ATTEMPT",
            "PROJECT_ID",
            "PROMPT",
            "PULSE_ID",
            "PULSE_KIND",
            "STATUS_FILE",
            "TASK_ID",
            "TOKEN",
            "URL",
        )
    }
    assert environ["MISSION_CONTROL_TOKEN"] == "agents-own-token"
    assert Path(environ["MISSION_CONTROL_STATUS_FILE"]).read_text() == "STATUS äöü"  # noqa: ASYNC240
    # `sh` and Python set these themselves.
    usual = {*PASSED_ON, *CACHES, GIT, "PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}
    assert set(environ) - ours <= usual


@BOTH
async def test_a_command_may_have_as_many_files_open_as_if_we_had_no_more(
    project: Path, mode: LandlockMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mission_control.actors._process.OPEN_FILES", OpenFiles(before=200))
    outcome = await runner(mode).run(order(project, "/bin/sh", "-c", "ulimit -Sn"), Heard())
    assert outcome.output == "200"


async def test_more_is_passed_on_by_name_and_never_what_is_ours(project: Path) -> None:
    names = ("GITHUB_TOKEN", "MISSION_CONTROL_TOKEN_FILE", "NOT_THERE")
    wanted = order(project, sys.executable, "-c", SHOW)
    environ, _ = await shown(runner(LandlockMode.OFF, *names), wanted)
    assert environ["GITHUB_TOKEN"] == SECRET
    assert "MISSION_CONTROL_TOKEN_FILE" not in environ
    assert "ANTHROPIC_API_KEY" not in environ


TOOL = f"""#!{sys.executable}
import json, os, sys
text = sys.stdin.read()
said = [sys.argv[1:], sorted(k for k in os.environ if k.endswith("_API_KEY")), text]
print(json.dumps({{"type": "result", "result": json.dumps(said), "total_cost_usd": 0.5}}))
"""


@BOTH
async def test_a_profile_gives_its_words_its_keys_and_its_prompt_and_hears_the_cost(
    project: Path, tmp_path: Path, mode: LandlockMode
) -> None:
    tools = tmp_path / "tools" / "bin"
    tools.mkdir(parents=True)
    (tools / "claude").write_text(TOOL)
    (tools / "claude").chmod(0o755)
    environ = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(tmp_path / "user")}
    made = runner(mode, environ=environ)
    outcome = await made.run(order(project, "@claude", "--model", "opus"), Heard())
    assert (outcome.kind, outcome.cost_usd) == (OutcomeKind.SUCCEEDED, 0.5), outcome
    words, keys, text = json.loads(outcome.output)
    assert words[0] == "-p"
    assert words[-2:] == ["--model", "opus"]
    assert keys == ["ANTHROPIC_API_KEY"]
    assert text.startswith("STATUS äöü\nDo it.")
    assert "mission-control task move" in text


async def test_an_unknown_profile_fails_with_what_there_is(project: Path) -> None:
    outcome = await runner(LandlockMode.OFF).run(order(project, "@nope"), Heard())
    assert outcome.kind is OutcomeKind.FAILED
    assert "take one of claude" in outcome.detail


@BOTH
async def test_output_is_a_sign_of_life_and_its_end_is_kept(
    project: Path, mode: LandlockMode
) -> None:
    life = Heard()
    script = "import sys; sys.stdout.write('x' * 1_000_000); print('the end')"
    outcome = await runner(mode).run(order(project, sys.executable, "-c", script), life)
    assert life.signs > 1
    assert len(outcome.output) <= 4_000
    assert outcome.output.endswith("xthe end")


@BOTH
async def test_a_command_that_cannot_be_started_fails_and_names_it(
    project: Path, mode: LandlockMode
) -> None:
    outcome = await runner(mode).run(order(project, "no-such-program"), Heard())
    assert outcome.kind is OutcomeKind.FAILED
    assert "no-such-program" in outcome.detail
    outcome = await runner(mode).run(order(project, "zero\0byte"), Heard())
    assert outcome.kind is OutcomeKind.FAILED


@BOTH
async def test_a_cancelled_run_leaves_nothing_of_the_command(
    project: Path, mode: LandlockMode
) -> None:
    life = Heard()
    script = "trap '' TERM; (setsid sleep 600 &) ; echo up; while :; do sleep 60; done"
    wanted = order(project, "/bin/sh", "-c", script)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(runner(mode).run, wanted, life)
        with trio.fail_after(60):
            await life.spoke.wait()
        nursery.cancel_scope.cancel()
    assert life.progress == Progress("up"), "what it said until then is kept"
    assert life.handle is not None
    assert life.handle.process_group is not None
    assert not group_exists(life.handle.process_group)
    assert list(strays(wanted.pulse_id)) == []


async def test_a_command_does_not_begin_before_its_number_is_recorded(project: Path) -> None:
    class Refuses(Heard):
        async def started(self, handle: RunHandle) -> None:
            raise RuntimeError("the database is gone")

    made = runner(LandlockMode.AUTO)
    with pytest.raises(RuntimeError):
        await made.run(order(project, "/bin/sh", "-c", "touch began"), Refuses())
    assert not (project / "src" / "began").exists()
