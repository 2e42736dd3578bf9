"""Runs the corpus through every door of a whole sidecar: JSON-RPC, tool, Python and command line.

Runs in a sandbox.  The sidecar is one for all cases; the projects that its files are in are those
of each case's own stage.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import attrs
import click.testing
import trio

import files_corpus
from files_corpus import Scene, makes_sense_in_src
from files_sandbox import NAMESPACES
from files_stage import MARK, Stage
from mission_control import Config, MissionControl
from mission_control import open as open_mission_control
from mission_control.actors import AgentIdentity
from mission_control.cli._file import file as file_command
from mission_control.cli._group import Shared
from mission_control.config import ListenSettings
from mission_control.gateway_bridge import _rpc as rpc
from mission_control.gateway_bridge._callers import Access, Caller, of_agent
from mission_control.gateway_bridge._table import call
from mission_control.gateway_bridge._tools import TOOLS
from mission_control.storage import Invalid, MissionError, from_wire
from mission_control.storage.files import Projects
from mission_control.storage.files._root import ProjectRoot
from rig import FAST
from system_doors import idle

PERSON: Final = Caller("tester", Access.WRITE)
AGENT: Final = of_agent(AgentIdentity("coder:alpha", "alpha", "", None))
DOORS: Final = ("rpc", "python", "tool", "command line")
NOT_THERE: Final = {
    "command line": {
        "limits-006",  # more than one message holds
        "more-limits-04",  # a large file is read in parts
    },
    "tool": {"more-limits-04"},  # likewise, and the model is told where the rest begins
}
"""Cases that a door has no way to ask for."""

Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]


def prepare() -> None:
    """Read the cases, and import all that a sidecar imports late, while that can be read."""
    files_corpus.prepare()
    reader, writer = os.pipe()
    if os.fork() == 0:
        names = _names_of_a_first_life()
        os.write(writer, json.dumps(names).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        for name in json.loads(pipe.read()):
            importlib.import_module(name)


def _names_of_a_first_life() -> list[str]:
    import tempfile  # noqa: PLC0415 - of this process only

    before = set(sys.modules)

    async def live() -> None:
        async with _sidecar(Path(folder)) as mc:
            await mc.call("mission.project.init", project_name="alpha")

    with tempfile.TemporaryDirectory() as folder:
        trio.run(live)
    return sorted(set(sys.modules) - before - {"__main__", "__mp_main__"})


def run_cases(base: Path, sandbox: str) -> list[dict[str, str]]:
    """Run all cases through all doors; returns what went wrong, and "ok" for each that is fine."""
    if sandbox == NAMESPACES:
        _raise_loopback()
    return trio.run(_run_cases, base, sandbox)


def _raise_loopback() -> None:
    """A new network namespace has no 127.0.0.1 until its loopback is up."""
    with socket.socket() as any_socket:
        up = struct.pack("16sh", b"lo", 1)
        fcntl.ioctl(any_socket, 0x8914, up)


def _sidecar(home: Path) -> Any:
    config = Config(listen=ListenSettings(port=0), pulse=FAST)
    return open_mission_control(home, config, runner=idle())


async def _run_cases(base: Path, sandbox: str) -> list[dict[str, str]]:
    results = []
    async with _sidecar(base / "home") as mc:
        await mc.call("mission.project.init", project_name="alpha")
        stages = _Stages()
        mc.mission.files._projects = stages
        for case in files_corpus.cases():
            if "CAP_SYS_ADMIN" in case.get("needs", ()) and sandbox != NAMESPACES:
                continue
            results += await _through_doors(mc, stages, case, base, DOORS, PERSON)
            if makes_sense_in_src(case):
                results += await _through_doors(mc, stages, case, base, ("tool",), AGENT)
        assert MARK not in str(mc.mission.reads.events(project_id="alpha", limit=500))
    return results


async def _through_doors(  # noqa: PLR0917 - what a case needs
    mc: MissionControl,
    stages: _Stages,
    case: dict[str, Any],
    base: Path,
    doors: tuple[str, ...],
    caller: Caller,
) -> list[dict[str, str]]:
    results, scene = [], None
    for door in doors:
        if case["id"] in NOT_THERE.get(door, ()):
            continue
        if scene is None:
            stage = Stage(base / case["id"])
            scene = Scene.build(case, stage, rebased=caller is AGENT)
        verdict = scene.verdict(await _outcome(mc, stages, scene, _asker(mc, door, caller)))
        who = f"{door} of an agent" if caller is AGENT else door
        results.append({"id": case["id"], "door": who, "verdict": verdict})
        if case["expect"] == "allowed":
            scene.stage.remove()
            scene = None  # the next door finds it as this one did
    if scene is not None:
        scene.stage.remove()
    return results


@attrs.define
class _Stages:
    """The projects of the case that is played now."""

    now: Projects | None = None

    def open(self, project: str) -> AbstractContextManager[ProjectRoot]:
        assert self.now is not None
        return self.now.open(project)


async def _outcome(mc: MissionControl, stages: _Stages, scene: Scene, ask: Ask) -> object:
    method, params = _asked(scene.case["op"], lambda path: _filled(scene.stage, scene.prefix, path))
    with Projects(scene.stage.jail.parent) as stages.now:
        try:
            return _plain(method, await ask(method, params))
        except Invalid as refusal:
            return _with_reason(refusal)
        except MissionError as refusal:
            return refusal
        finally:
            assert not mc.mission.files.locks.list()


def _filled(stage: Stage, prefix: str, path: Any) -> Any:
    # What is no text must be refused, not filled in.
    return prefix + stage.fill(path) if isinstance(path, str) else path


def _with_reason(refusal: Invalid) -> Invalid:
    """What is no text at all is refused before it is looked at as a path."""
    if refusal.details.get("field") in {"path", "target", "project_id"}:
        refusal.details.setdefault("reason", "path_invalid")
    return refusal


def _asked(op: dict[str, Any], path: Callable[[Any], Any]) -> tuple[str, dict[str, Any]]:
    """Return the method and the parameters of the one operation of a case."""
    method = op["name"]
    if method == "open_project":
        return "list", {"project_id": op["project"], "path": "."}
    named = {"src": "path", "dst": "target", "expected": "expected_sha256"}
    if method in {"write", "append"}:
        named["text"] = "content"
    params = {named.get(name, name): value for name, value in op.items() if name != "name"}
    for name in {"path", "target"} & params.keys():
        params[name] = path(params[name])
    if "expected_sha256" in params:
        params["expected_sha256"] = files_corpus.digest(params["expected_sha256"])
    if "size" in params:
        params["content"] = "x" * params.pop("size")
    return method, params


def _plain(method: str, answer: Any) -> object:
    match method:
        case "read":
            return answer["content"]
        case "list":
            return [entry["name"] for entry in answer["entries"]]
        case "exists":
            return answer["exists"]
        case _:
            return answer


def _asker(mc: MissionControl, door: str, caller: Caller) -> Ask:
    async def by_python(method: str, params: dict[str, Any]) -> Any:
        given = {"project_id": "alpha"} | params
        return await call(mc.mission, caller, f"mission.file.{method}", given)

    async def by_rpc(method: str, params: dict[str, Any]) -> Any:
        request = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": f"mission.file.{method}",
            "params": {"project_id": "alpha"} | params,
        }
        answer = json.loads(await rpc.answer_text(mc.mission, caller, json.dumps(request)) or "")
        if "error" in answer:
            raise from_wire(answer["error"])
        return answer["result"]

    async def by_tool(method: str, params: dict[str, Any]) -> Any:
        name, translated = TOOLS["mission_file"].translate({"action": method, **params})
        # An operator in an agent's place has no project of its own.
        implied = {} if caller.identity is not None else {"project_id": "alpha"}
        return await call(mc.mission, caller, name, implied | translated)

    async def by_command(method: str, params: dict[str, Any]) -> Any:
        words, stdin = _command(method, {"project_id": "alpha"} | params)
        shared = _InProcess(Path(), None, as_json=False, line=_Line(by_rpc))
        return await trio.to_thread.run_sync(_run_command, words, stdin, shared, method)

    ways: dict[str, Ask] = {
        "python": by_python,
        "rpc": by_rpc,
        "tool": by_tool,
        "command line": by_command,
    }
    return ways[door]


@attrs.frozen
class _Line:
    """Stands for the command's connection: the same methods, in the loop's thread."""

    ask: Ask

    def call(self, method: str, **params: object) -> Any:
        given = {name: value for name, value in params.items() if value is not None}
        return trio.from_thread.run(self.ask, method.removeprefix("mission.file."), given)


@attrs.frozen
class _InProcess(Shared):
    """What commands share, with our line for a sidecar."""

    line: _Line

    @property
    def sidecar(self) -> Any:
        return self.line

    def show(self, value: Any, words: Callable[[Any], object]) -> None:
        words(value)  # they must not fail either
        click.echo(f"\n{json.dumps(value)}")


def _run_command(words: list[str], stdin: bytes, shared: Shared, method: str) -> Any:
    runner = click.testing.CliRunner()
    done = runner.invoke(
        file_command, words, input=stdin, obj=shared, standalone_mode=False, catch_exceptions=True
    )
    if done.exception is not None:
        raise done.exception
    if method == "read":
        return {"content": done.stdout_bytes.decode()}
    return json.loads(done.stdout.splitlines()[-1])


_COMMANDS: Final = {"list": "ls", "move": "mv", "delete": "rm"}


def _command(method: str, params: dict[str, Any]) -> tuple[list[str], bytes]:
    """Return the words of a command line, and what stands on its standard input."""
    for name in ("path", "target", "project_id"):
        if not isinstance(params.get(name, ""), str):
            raise Invalid("a command line has only text", field="path")
    flags = {
        "parents": "--parents",
        "recursive": "--recursive",
        "overwrite": "--overwrite" if method == "move" else None,
    }
    words = [_COMMANDS.get(method, method), "--project", params["project_id"]]
    words += [flag for name, flag in flags.items() if flag and params.get(name)]
    if params.get("overwrite") is False and method == "write":
        words.append("--no-overwrite")
    for name in ("expected_sha256", "old", "new"):
        if name in params:
            words += [f"--{name.replace('_', '-')}", params[name]]
    named = [params[name] for name in ("text", "path", "target") if name in params]
    return [*words, "--", *named], params.get("content", "").encode()
