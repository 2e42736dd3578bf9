"""The command line, as people type it."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
from click.testing import CliRunner

from mission_control.cli import main
from mission_control.cli._sidecar import Sidecar as Door
from system_command import COMMAND, Sidecar, environment, run, sidecar
from system_processes import workers

pytestmark = pytest.mark.timeout(300)
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """One sidecar for the tests of this module; each makes a project of its own."""
    with sidecar(tmp_path_factory.mktemp("cli") / "home") as found:
        yield found


def paths(command: click.Command, *names: str) -> Iterator[tuple[str, ...]]:
    yield names
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from paths(inner, *names, name)


@pytest.mark.parametrize("path", list(paths(main)), ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_says_what_it_does(path: tuple[str, ...], flag: str) -> None:
    shown = CliRunner().invoke(main, [*path, flag])
    assert shown.exit_code == 0
    usage, _, rest = shown.output.partition("\n")
    assert usage.startswith("Usage: ")
    about = rest.partition("\n\n")[2].partition("\n\n")[0]
    assert about.strip().endswith("."), shown.output


@slow
def test_the_installed_command_knows_its_version_and_help(tmp_path: Path) -> None:
    assert version("openclaw-mission-control") in run(tmp_path, "--version").words
    assert "small factory" in run(tmp_path, "--help").words
    assert run(tmp_path, "nope").code == 2
    assert list(tmp_path.iterdir()) == []


@slow
def test_a_task_is_handed_off_a_soul_upgraded_and_the_project_deleted(
    running: Sidecar, tmp_path: Path
) -> None:
    project = running.do("project", "init", "Lives")
    for soul in ("shuri", "okoye"):
        running.do("agent", "create", f"{soul}:{project}", "--command", "true")
        running.do("agent", "pause", f"{soul}:{project}")
    task = running.do("task", "create", project, "Paint", "--soul", "shuri")
    assert "okoye" in running.do("task", "hand-off", task, "okoye", "the door is left")
    (tmp_path / "SOUL.md").write_text("You are calm.")
    upgraded = running.do("agent", "upgrade", f"shuri:{project}", str(tmp_path / "SOUL.md"))
    assert len(upgraded) == 64
    assert "give soul_text, or the sha256" in (
        running.run("agent", "upgrade", f"shuri:{project}").refusal
    )
    deleted = running.do("project", "delete", project, "--yes")
    assert f"its folder is in backups/mission-control/projects/{project}-" in deleted
    assert f"there is no project '{project}'" in running.run("project", "get", project).refusal


@slow
def test_a_project_goes_from_its_beginning_to_the_archive(running: Sidecar) -> None:
    assert running.do("project", "init", "Vidsnap 2!") == "vidsnap-2"
    running.do("agent", "create", "shuri:vidsnap-2", "--command", "true")
    copied = running.do("project", "init", "Copy", "--base", "vidsnap-2")
    assert "shuri:copy" in running.do("agent", "list", copied)
    assert "Vidsnap 2!" in running.do("project", "list")
    assert "Other" in running.do("project", "rename", "vidsnap-2", "Other")
    assert "archived" in running.do("project", "archive", "vidsnap-2")
    assert "archived: restore it first" in (
        running.run("task", "create", "vidsnap-2", "late").refusal
    )
    assert "active" in running.do("project", "restore", "vidsnap-2")
    shown = running.run("--json", "project", "get", "vidsnap-2").json
    assert (shown["project_id"], shown["project"]["name"]) == ("vidsnap-2", "Other")


@slow
def test_a_task_goes_over_the_board(running: Sidecar) -> None:
    running.run("project", "init", "Board")
    first = running.do("task", "create", "board", "Login page", "--priority", "1")
    second = running.do(
        "task", "create", "board", "Logout", "--depends-on", first, "--label", "a", "--label", "b"
    )
    shown = running.run("--json", "task", "get", second).json["task"]
    assert (shown["depends_on"], shown["labels"]) == ([first], ["a", "b"])
    assert "Login page" in running.do("task", "why", second)
    running.do("task", "update", second, "--title", "Log out", "--priority", "2")
    assert "in_progress needs an assignee" in (
        running.run("task", "move", first, "in_progress").refusal
    )
    assert "done" in running.do("task", "move", first, "done")
    table = running.do("board", "board")
    assert [line.split()[0] for line in table.splitlines()] == ["status", "backlog", "done"]
    assert "Log out" in running.do("task", "list", "board", "--label", "a")
    assert running.do("task", "list", "board", "--status", "blocked") == "none"
    stale = running.run("task", "move", second, "backlog", "--expected-version", "1")
    assert "read it again" in stale.refusal
    assert stale.code == 75
    running.do("task", "delete", second)
    assert running.run("task", "get", second).code == 66


@slow
def test_an_agent_is_made_told_and_destroyed(running: Sidecar, tmp_path: Path) -> None:
    running.run("project", "init", "Agents")
    (tmp_path / "SOUL.md").write_text("You are precise.")
    made = running.run("agent", "create", "okoye:agents", "--soul-file", str(tmp_path / "SOUL.md"))
    assert made.words == "okoye:agents"
    assert (running.home / "souls/okoye/SOUL.md").read_text() == "You are precise."
    assert "paused" in running.do("agent", "pause", "okoye:agents")
    assert "paused: resume it" in running.run("agent", "trigger", "okoye:agents").refusal
    sent = running.do("agent", "message", "okoye:agents", "look at the gate")
    assert sent.endswith(" queued: agent okoye:agents is paused")
    history = running.home / "projects/agents/agents/okoye/history.jsonl"
    assert json.loads(history.read_text().splitlines()[-1])["text"] == "look at the gate"
    assert "okoye" in running.do("agent", "show", "okoye:agents")
    assert "idle" in running.do("agent", "resume", "okoye:agents")
    running.do("agent", "destroy", "okoye:agents")
    assert running.do("agent", "list", "agents") == "none"


@slow
def test_a_session_is_made_looked_into_and_removed(running: Sidecar) -> None:
    running.run("project", "init", "Sessions")
    running.do("agent", "create", "shuri:sessions", "--command", "echo I was here")
    assert running.do("session", "list", "sessions") == "none"
    assert "has no session" in running.run("session", "restart", "shuri:sessions").refusal
    assert "agent:main:mc:sessions:shuri" in running.do("session", "create", "shuri:sessions")
    assert "shuri:sessions" in running.do("session", "list")
    running.do("session", "inject", "shuri:sessions", "mind the step")
    running.do("agent", "trigger", "shuri:sessions")
    deadline = time.monotonic() + 120
    while (said := running.do("session", "logs", "shuri:sessions")) == "none":
        assert time.monotonic() < deadline
    assert said.splitlines()[-1] == "I was here"
    noted = running.home / "projects/sessions/agents/shuri/status.md"
    assert "operator (new): mind the step" in noted.read_text()
    assert "known here  yes" in running.do("session", "status", "shuri:sessions")
    running.do("session", "restart", "shuri:sessions")
    assert running.do("session", "logs", "shuri:sessions", "--limit", "5") == "none"
    bad = running.run("session", "logs", "shuri:sessions", "--cursor", "x")
    assert (bad.code, "`earlier`" in bad.refusal) == (64, True)
    running.do("session", "destroy", "shuri:sessions")
    assert "known here  no" in running.do("session", "status", "shuri:sessions")
    assert running.do("agent", "import") == "none"
    assert "no agent 'x'; it has none" in running.run("agent", "import", "x").refusal


@slow
def test_a_question_is_listed_and_answered(running: Sidecar) -> None:
    running.run("project", "init", "Questions")
    task_id = running.do("task", "create", "questions", "paint")
    running.call("mission.control.request_help", task_id=task_id, issue="red or blue?")
    assert "red or blue?" in running.do("help", "list", "questions")
    (asked,) = running.run("--json", "help", "list", "questions").json["help_requests"]
    answered = running.run("help", "answer", asked["id"], "blue", "--then", "backlog")
    assert "answered" in answered.words
    assert running.do("help", "list", "questions") == "none"
    assert "was answered by operator" in running.run("help", "answer", asked["id"], "red").refusal
    thoughts = running.do("events", "questions")
    assert "red or blue?" in thoughts
    assert "operator answered: blue" in thoughts


@slow
def test_looking_inside_needs_no_project(running: Sidecar) -> None:
    tree = running.do("tree")
    assert tree.startswith("mission-control")
    for part in ("core", "storage", "feed", "orchestrator", "listener"):
        assert part in tree
    status = running.run("--json", "status").json
    assert (status["runner"], status["home"]) == ("process", str(running.home))
    assert running.run("call", "mission.system.health").json["ok"] is True
    assert running.call("mission.system.tree")["tree"]["kind"] == "supervisor"


def pass_on(lines: Iterable[str], told: SimpleQueue[str]) -> None:
    for line in lines:
        told.put(line)


@slow
def test_following_shows_thoughts_as_they_come_and_ends_with_the_sidecar(tmp_path: Path) -> None:
    with sidecar(tmp_path / "home") as found:
        found.run("project", "init", "P")
        other, task_id = (found.do("task", "create", "p", title) for title in ("other", "t"))
        with subprocess.Popen(
            [COMMAND, "--home", str(found.home), "events", "--task", task_id, "--follow"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(PYTHONUNBUFFERED="1"),
        ) as follower:
            told: SimpleQueue[str] = SimpleQueue()
            listening = threading.Thread(target=pass_on, args=(follower.stdout, told))
            listening.start()
            while "created: t" not in told.get():
                pass
            found.do("log", "of another task", "--task", other)
            found.do("log", "a thought", "--task", task_id)
            assert told.get(timeout=60.0).endswith("a thought\n")
            found.stop()
            assert follower.wait(60) == 69
            listening.join()
            assert follower.stderr is not None
            assert "the sidecar ended the connection" in follower.stderr.read()


@slow
def test_nothing_is_lost_between_the_list_and_what_follows_it(running: Sidecar) -> None:
    class Heard(Exception):
        pass

    running.run("project", "init", "Meanwhile")
    task_id = running.do("task", "create", "meanwhile", "t")
    door = Door.find(running.home, None)

    def meanwhile(found: dict[str, Any]) -> None:
        assert "a thought" not in json.dumps(found)
        running.do("log", "a thought", "--task", task_id)

    def tell(event: dict[str, Any]) -> None:
        if "a thought" in json.dumps(event):
            raise Heard

    with pytest.raises(Heard):
        door.follow("mission.event.list", show=meanwhile, tell=tell, task_id=task_id)


@slow
def test_inside_a_pulse_the_command_is_the_agent(running: Sidecar) -> None:
    running.run("project", "init", "Inside")
    script = "; ".join(
        [
            'set -e; mc() { "$0" "$@"; }',
            'mc log "I am $MISSION_CONTROL_AGENT_ID" --action look',
            'mc task create inside "found on the way"',
            "mc project init Forbidden || echo refused with $? > refused.txt",
            'mc task move "$MISSION_CONTROL_TASK_ID" done',
        ]
    )
    command = shlex.join(["sh", "-c", script, COMMAND])
    running.do("agent", "create", "shuri:inside", "--command", command)
    task_id = running.do("task", "create", "inside", "look around", "--soul", "shuri")
    deadline = time.monotonic() + 120
    while running.call("mission.task.get", task_id=task_id)["task"]["status_name"] != "done":
        assert time.monotonic() < deadline
    events = running.call("mission.event.list", task_id=task_id)["events"]
    said = [event for event in events if event["agent_id"] == "shuri:inside"]
    assert "I am shuri:inside" in [event["thought"] for event in said]
    found = running.call("mission.task.list", project_id="inside", text="found on the way")
    assert found["tasks"][0]["created_by"] == "shuri:inside"
    refused = running.home / "projects/inside/src/refused.txt"
    assert refused.read_text() == "refused with 77\n"


@slow
def test_sigterm_ends_the_sidecar_and_all_that_it_started(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with sidecar(home) as found:
        found.run("project", "init", "P")
        found.run("agent", "create", "shuri:p", "--command", "sh -c 'sleep 999 & sleep 999'")
        found.run("task", "create", "p", "t", "--soul", "shuri")
        while not workers(home):
            assert found.process.poll() is None
        assert (home / "mission-control.endpoint").exists()
        ended = found.stop()
        assert (ended.code, ended.err) == (0, "")
        assert "stopping" in ended.out
    assert workers(home) == {}
    assert not (home / "mission-control.endpoint").exists()
    assert "no sidecar runs on" in run(home, "status").refusal
    port = urlsplit(found.url).port or 0
    with socket.create_server(("127.0.0.1", port)):
        pass


@slow
def test_the_environment_and_the_file_say_where_and_a_flag_overrules_them(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "mission-control.toml").write_text("[listen]\nport = 1\n")
    more = {"MISSION_CONTROL_LISTEN_PORT": "2", "MISSION_CONTROL_PROCESS_GRACE_S": "0.5"}
    with sidecar(home, **more) as found:
        named = run(tmp_path / "elsewhere", "--url", found.url, "status")
        assert "cannot read the token" in named.refusal
        token = (home / "mission-control.token").read_text().strip()
        inside = {"MISSION_CONTROL_TOKEN": token, "MISSION_CONTROL_URL": found.url}
        assert run(tmp_path / "elsewhere", "project", "list", **inside).words == "none"
        assert found.do("project", "list") == "none"
    assert not (tmp_path / "elsewhere").exists()
