"""Runs cases of the corpus: builds what each finds, does its one operation, judges the outcome.

The format of a case is told in the corpus itself (`format`).  Runs in a sandbox.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from files_sandbox import NAMESPACES
from files_stage import MARK, SetUp, Stage
from mission_control.storage import MissionError
from mission_control.storage.files import (
    Access,
    AgentAccess,
    AppendToFile,
    Delete,
    EditFile,
    Files,
    Limits,
    MakeFolder,
    Move,
    OperatorAccess,
    Projects,
    Quota,
    Right,
    ScopedFiles,
    Wanted,
    Workspace,
    WriteFile,
    _openat2,
)
from mission_control.storage.files._kernel import MakeOpener
from mission_control.storage.files._openat2 import Openat2
from mission_control.storage.files._walk import Walk

FOLDER: Final = Path(__file__).parents[1] / "files"
OPENERS: Final[dict[str, MakeOpener]] = {
    # Some containers forbid the first, and then there is nothing to test.
    **({"openat2": Openat2} if _openat2.works() else {}),
    "walk": Walk,
}
PERSON: Final = OperatorAccess("alpha", "tester", Right.WRITE)
AGENT: Final = AgentAccess("alpha", "coder")
ANSWER_S: Final = 30
"""How long an operation may take before it counts as hanging."""
CHANGES: Final[dict[str, Callable[..., Wanted]]] = {
    "write": WriteFile,
    "append": AppendToFile,
    "edit": EditFile,
    "mkdir": MakeFolder,
    "move": Move,
    "delete": Delete,
}
IN_SRC: Final = frozenset(
    {"symlink", "hardlink", "special", "case", "limits", "state", "control", "mount"}
)
"""What makes sense one level deeper too."""

_cases: list[dict[str, Any]] = []


def prepare() -> None:
    """Read the cases while they can be read."""
    for name in ("corpus.json", "more_cases.json"):
        _cases.extend(json.loads((FOLDER / name).read_text())["cases"])


def cases() -> list[dict[str, Any]]:
    """Return all cases, once they are read."""
    return _cases


def run_cases(
    base: Path, sandbox: str, *, opener: str, rebased: bool = False, facade: bool = False
) -> list[dict[str, str]]:
    """Run all cases through one opener; returns what went wrong, and for each that is fine "ok".

    With *rebased* an agent runs them in its `src/` as far as they make sense there; with *facade*
    they go through locks and threads.
    """
    results = []
    for case in _cases:
        if rebased and not makes_sense_in_src(case):
            continue
        if "CAP_SYS_ADMIN" in case.get("needs", ()) and sandbox != NAMESPACES:
            continue  # test_corpus.py has mounts that are there already
        stage = Stage(base / case["id"])
        try:
            verdict = _verdict(case, stage, opener, rebased=rebased, facade=facade)
        finally:
            stage.remove()
        results.append({"id": case["id"], "verdict": verdict})
    return results


def makes_sense_in_src(case: dict[str, Any]) -> bool:
    """Whether an agent can be asked to do it in its `src/`."""
    return case["category"] in IN_SRC and not str(case["op"].get("path")).startswith("/")


def _verdict(
    case: dict[str, Any], stage: Stage, opener: str, *, rebased: bool, facade: bool
) -> str:
    scene = Scene.build(case, stage, rebased=rebased)
    do = _Doing(stage, OPENERS[opener], AGENT if rebased else PERSON, scene.prefix)
    with Projects(stage.jail.parent, do.make_opener) as projects:
        outcome = _outcome(lambda: do(projects, case["op"], facade=facade))
    return scene.verdict(outcome)


@attrs.frozen
class Scene:
    """What a case finds, built, and as it was before anything was tried."""

    case: dict[str, Any]
    stage: Stage
    home: Path
    outside: object
    kanban: object

    @classmethod
    def build(cls, case: dict[str, Any], stage: Stage, *, rebased: bool) -> Scene:
        stage.build()
        home = stage.jail / "src" if rebased else stage.jail
        set_up = SetUp(stage, home)
        for step in case.get("setup", []):
            set_up(step)
        return cls(case, stage, home, stage.snapshot(), _service_files(stage))

    @property
    def prefix(self) -> str:
        """What stands before the case's paths."""
        return "" if self.home == self.stage.jail else "src/"

    def verdict(self, outcome: object) -> str:
        """Return what is to be said of *outcome*; "ok" where that is as it should be."""
        if self.stage.snapshot() != self.outside:
            return "ESCAPE: something outside has changed"
        if self.case["category"] != "hardlink" and _service_files(self.stage) != self.kanban:
            return "TAMPER: a file of the service's has changed"
        return _judge(self.case, self.stage, self.home, outcome)


def _service_files(stage: Stage) -> list[tuple[str, int] | None]:
    files = [stage.jail / name for name in ("KANBAN.md", "CHRONICLE.md")]
    return [(f.read_text(), f.stat().st_nlink) if f.exists() else None for f in files]


def _judge(case: dict[str, Any], stage: Stage, home: Path, outcome: object) -> str:
    match outcome:
        case MissionError():
            return _judge_refusal(case, stage, outcome)
        case Exception():
            return "HANG" if isinstance(outcome, TimeoutError) else f"untyped: {outcome!r}"
        case _ if MARK in repr(outcome):
            return "ESCAPE: bytes of outside were returned"
        case _ if case["expect"] == "denied":
            return f"THROUGH: {outcome!r:.200}"
        case _:
            return _check_effect(case.get("effect") or {}, home, outcome)


def _judge_refusal(case: dict[str, Any], stage: Stage, refused: MissionError) -> str:
    wire = json.dumps(refused.to_wire())
    if str(stage.base) in wire or MARK in wire:
        return f"the refusal tells of the host: {wire}"
    reason = refused.details.get("reason")
    if case["expect"] == "allowed":
        return f"false-deny: {reason}"
    return "ok" if reason in case["errors"] else f"ok-other-code: {reason}"


def _check_effect(effect: dict[str, Any], home: Path, outcome: Any) -> str:
    checks: dict[str, Callable[[Any], bool]] = {
        "content": lambda want: outcome == want,
        "file": lambda want: (home / want[0]).read_text() == want[1],
        "present": lambda want: all(os.path.lexists(home / name) for name in want),
        "absent": lambda want: not any(os.path.lexists(home / name) for name in want),
        "listed": lambda want: set(want) <= set(outcome),
        "result": lambda want: outcome is want,
    }
    wrong = [key for key, want in effect.items() if not checks[key](want)]
    return f"wrong-effect: {wrong}, {outcome!r:.200}" if wrong else "ok"


def _outcome(operation: Callable[[], object]) -> object:
    def give_up(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(ANSWER_S)
    try:
        return operation()
    except Exception as error:  # noqa: BLE001 - to be judged
        return error
    finally:
        signal.alarm(0)


@attrs.frozen
class _Doing:
    """Does the one operation of a case."""

    stage: Stage
    make_opener: MakeOpener
    access: Access
    prefix: str

    def __call__(self, projects: Projects, op: dict[str, Any], *, facade: bool) -> object:
        if op["name"] == "open_project":
            with projects.open(op["project"]) as root:
                return root.project
        if facade:
            return trio.run(self._through_files, projects, op)
        with projects.open("alpha") as root:
            place = Workspace(root, Quota(Limits()))
            return _plain(_call(op, self._path, ScopedFiles(place, self.access)))

    async def _through_files(self, projects: Projects, op: dict[str, Any]) -> object:
        files = Files(projects)
        answer = await _call(op, self._path, _Bound(files, self.access))
        assert not files.locks.list()
        return _plain(answer)

    def _path(self, path: Any) -> Any:
        return self.prefix + self.stage.fill(path) if isinstance(path, str) else path


class _Bound:
    """The methods of :class:`ScopedFiles`, done by :class:`Files` for one access."""

    def __init__(self, files: Files, access: Access) -> None:
        self._files = files
        self._access = access

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in CHANGES:
            return lambda *args, **options: self._files.change(
                self._access, CHANGES[name](*args, **options)
            )
        return lambda *args, **options: getattr(self._files, name)(self._access, *args, **options)


def _call(op: dict[str, Any], path: Callable[[Any], Any], files: Any) -> Any:  # noqa: PLR0911
    match op["name"]:
        case "write":
            data = b"x" * op["size"] if "size" in op else op["text"].encode()
            options = {key: op[key] for key in ("expected", "overwrite") if key in op}
            if "expected" in options:
                options["expected"] = digest(options["expected"])
            return files.write(path(op["path"]), data, **options)
        case "append":
            return files.append(path(op["path"]), op["text"].encode())
        case "edit":
            return files.edit(path(op["path"]), op["old"].encode(), op["new"].encode())
        case "move":
            overwrite = op.get("overwrite", False)
            return files.move(path(op["src"]), path(op["dst"]), overwrite=overwrite)
        case "mkdir":
            return files.mkdir(path(op["path"]), parents=op.get("parents", False))
        case "delete":
            return files.delete(path(op["path"]), recursive=op.get("recursive", False))
        case "search":
            return files.search(path(op["path"]), op["text"])
        case name:
            return getattr(files, name)(path(op["path"]))


def _plain(answer: Any) -> object:
    if isinstance(answer, tuple):
        return [entry.name for entry in answer]
    return answer.data.decode() if hasattr(answer, "data") else answer


def digest(text: str) -> str:
    """Return what stands for `{SHA256:...}` in the corpus."""
    if not text.startswith("{SHA256:"):
        return text
    return hashlib.sha256(text[len("{SHA256:") : -1].encode()).hexdigest()
