"""Random operations on two copies of a project, one for each way to open: the same must happen.

Between operations somebody with the rights of a local command puts links, pipes and the like in
the way.  Runs in a sandbox, and there under hypothesis.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import attrs
from hypothesis import HealthCheck, Phase, configuration, given, settings
from hypothesis import strategies as st

from files_corpus import OPENERS, PERSON
from files_stage import MARK, Stage
from mission_control.storage import MissionError
from mission_control.storage.files import (
    Content,
    Entry,
    Found,
    Limits,
    Projects,
    Quota,
    ScopedFiles,
    Stat,
    Workspace,
)

STEPS: Final = 20
"""Operations of one example, together with what is put in their way."""

_NAMES: Final = (
    "a", "b", "A", "l", "p", "dir", "notes.txt", "inner.txt", "é", "src",
    "..", ".", "", "KANBAN.md", "kanban.md", ".svc-x", "CON", "%2e%2e", "~", "x\x00",
)  # fmt: skip
_TARGETS: Final = (
    "{OUTABS}", "{OUTABS}/secret.txt", "{OUTABS}/dir", "{OUTABS}/new", "..", ".", "a", "notes.txt",
    "../beta", "../.staging", "/proc/self/root", "l",
)  # fmt: skip
_paths = st.lists(st.sampled_from(_NAMES), min_size=1, max_size=4).map("/".join)
_flat = st.sampled_from(("a", "b", "l", "p", "dir", "dir/a", "dir/inner.txt", "a/b", "notes.txt"))
_data = st.sampled_from((b"", b"x", b"hello", b"attacker"))
_expected = st.sampled_from((None, None, "absent", "0" * 64))


@attrs.frozen
class Step:
    """One thing that happens to both copies."""

    what: str
    arguments: tuple[Any, ...]


def _step(what: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(*arguments).map(lambda given_: Step(what, given_))


_steps = st.one_of(
    _step("read", _paths),
    _step("write", _paths, _data, _expected, st.booleans()),
    _step("append", _paths, _data),
    _step("edit", _paths, _data, _data),
    _step("list", _paths),
    _step("stat", _paths),
    _step("exists", _paths),
    _step("search", _paths, st.sampled_from((MARK, "hello"))),
    _step("mkdir", _paths, st.booleans()),
    _step("move", _paths, _paths, st.booleans()),
    _step("delete", _paths, st.booleans()),
    _step("put link", _flat, st.sampled_from(_TARGETS)),
    _step("put link", _flat, st.sampled_from(_TARGETS)),
    _step("put second name", _flat),
    _step("put pipe", _flat),
    _step("put folder", _flat),
    _step("put file", _flat),
    _step("put away", _flat),
)


def prepare() -> None:
    """Let hypothesis import all that it imports late."""

    @settings(max_examples=5, database=None, deadline=None)
    @given(st.lists(_steps, max_size=3))
    def warm_up(_: list[Step]) -> None:
        pass

    with tempfile.TemporaryDirectory() as folder:
        configuration.set_hypothesis_home_dir(folder)
        warm_up()


def differences(base: Path, _sandbox: str, *, examples: int) -> int:
    """Return how many operations both did alike; raises at the first that they did not."""
    done = 0
    configuration.set_hypothesis_home_dir(base / "hypothesis")

    # Without its explanations, which read source files that the sandbox may not.
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(st.lists(_steps, min_size=STEPS, max_size=STEPS))
    def both_do_the_same(steps: list[Step]) -> None:
        nonlocal done
        openers = list(OPENERS)
        # Where there is only one way, it must at least agree with itself.
        copies = [Copy(Stage(base / str(n)), openers[-n]) for n in (0, 1)]
        try:
            for copy in copies:
                copy.stage.build()
            outside = [copy.stage.snapshot() for copy in copies]
            for step in steps:
                first, second = (copy.do(step) for copy in copies)
                assert first == second, step
                done += 1
            for copy, before in zip(copies, outside, strict=True):
                assert copy.stage.snapshot() == before
            assert copies[0].tree() == copies[1].tree()
        finally:
            for copy in copies:
                shutil.rmtree(copy.stage.base)

    both_do_the_same()
    return done


@attrs.frozen
class Copy:
    """A project and the way it is opened."""

    stage: Stage
    opener: str

    def do(self, step: Step) -> object:
        if step.what.startswith("put "):
            with suppress(OSError):
                self._put(step)
            return None
        with Projects(self.stage.jail.parent, OPENERS[self.opener]) as projects:
            try:
                with projects.open("alpha") as root:
                    place = Workspace(root, Quota(Limits()))
                    return self._plain(_call(ScopedFiles(place, PERSON), step))
            except MissionError as refused:
                leaks = str(self.stage.base) in str(refused.to_wire())
                return type(refused).__name__, refused.details["reason"], leaks and self.opener

    def tree(self) -> list[tuple[str, int]]:
        jail = self.stage.jail
        found = [(top, name) for top, dirs, names in os.walk(jail) for name in (*dirs, *names)]
        paths = [Path(top, name) for top, name in found]
        return sorted((str(path.relative_to(jail)), path.lstat().st_mode) for path in paths)

    def _plain(self, answer: object) -> object:
        assert MARK not in repr(answer)
        match answer:
            case Content(data=data):
                return data
            case Stat(kind=kind):
                return kind
            case Found(matches=matches):
                return matches
            case tuple():
                entries: tuple[Entry, ...] = answer
                return [(entry.name, entry.kind, entry.addressable) for entry in entries]
            case _:
                return answer

    def _put(self, step: Step) -> None:
        """Do what a command that runs in the project may do; never through a link."""
        path = self.stage.jail / step.arguments[0]
        if path.parent != self.stage.jail and path.parent.is_symlink():
            return
        match step.what, step.arguments:
            case "put link", (_, target):
                path.symlink_to(self.stage.fill(target))
            case "put second name", _:
                path.hardlink_to(self.stage.outside / "victim.txt")
            case "put pipe", _:
                os.mkfifo(path)
            case "put folder", _:
                path.mkdir()
            case "put file", _:
                path.open("x").close()
            case _:
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _call(files: ScopedFiles, step: Step) -> object:
    match step.what, step.arguments:
        case "write", (path, data, expected, overwrite):
            return files.write(path, data, expected=expected, overwrite=overwrite)
        case "mkdir", (path, parents):
            return files.mkdir(path, parents=parents)
        case "move", (source, target, overwrite):
            return files.move(source, target, overwrite=overwrite)
        case "delete", (path, recursive):
            return files.delete(path, recursive=recursive)
        case what, arguments:
            method: Callable[..., object] = getattr(files, what)
            return method(*arguments)
