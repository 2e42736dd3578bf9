"""Somebody exchanges files for links while operations run.  Runs in a sandbox.

The attacker is a process that does nothing but `renameat2(..., RENAME_EXCHANGE)`, so the name in
question always exists, now as one thing and now as the other.  Its links are relative: an absolute
one begins at another mount, and would be refused for that alone.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import attrs

from files_corpus import OPENERS, PERSON
from files_sandbox import NAMESPACES
from files_stage import MARK, Stage
from mission_control.storage import MissionError
from mission_control.storage.files import Limits, Projects, Quota, ScopedFiles, Workspace

LEAST_EXCHANGES: Final = 200
"""A race that the attacker did not run in is run on."""
STARVED_S: Final = 8
"""When a race is over although the attacker had hardly a turn."""
BEATEN_S: Final = 150
"""Within which the naive jail must be beaten; it takes milliseconds."""

_AT_FDCWD, _EXCHANGE, _DIE_WITH_PARENT = -100, 2, 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_BATCH: Final = 25


@attrs.frozen
class Tally:
    """What came of a race."""

    attempts: int
    exchanges: int
    done: int
    escapes: int

    def to_json(self) -> dict[str, int]:
        return attrs.asdict(self)


@attrs.frozen
class Race:
    """What is exchanged in the project, and the operation that runs meanwhile."""

    pair: tuple[str, str]
    attempt: Callable[[ScopedFiles, Stage], object]
    prepare: Callable[[Stage], None]


def races(base: Path, _sandbox: str, *, opener: str, rounds: int) -> dict[str, dict[str, int]]:
    """Run each race for *rounds* attempts; an escape is what came from, or changed, outside."""
    return {
        name: _run(race, Stage(base / name), opener, rounds).to_json()
        for name, race in RACES.items()
    }


def naive(base: Path, sandbox: str) -> dict[str, object]:
    """Let the same attacker loose on a jail that compares paths: it must lose, here only."""
    stage = Stage(base / "naive")
    stage.build()
    _swap_leaf(stage)
    name = stage.jail / "x"
    escapes = looks = 0
    kinds = set[bool]()
    ends = time.monotonic() + BEATEN_S
    with _attacker(stage, ("x", "x.alt")) as exchanges:
        while time.monotonic() < ends and (
            len(kinds) < 2 or (sandbox == NAMESPACES and not escapes)
        ):
            looks += 1
            kinds.add(name.is_symlink())
            if sandbox == NAMESPACES and MARK.encode() in _naive_read(stage.jail, name):
                escapes += 1
        count = exchanges()
    return {"sandbox": sandbox, "escapes": escapes, "kinds": len(kinds), "exchanges": count}


def _naive_read(jail: Path, path: Path) -> bytes:
    """Check, then use: what most servers of files do."""
    with suppress(OSError):
        if path.resolve().is_relative_to(jail.resolve()):
            os.sched_yield()  # a disk that takes its time
            return path.read_bytes()
    return b""


def _run(race: Race, stage: Stage, opener: str, rounds: int) -> Tally:
    stage.build()
    race.prepare(stage)
    outside = stage.snapshot()
    attempts = done = escapes = 0
    ends = time.monotonic() + STARVED_S
    with (
        Projects(stage.jail.parent, OPENERS[opener]) as projects,
        projects.open("alpha") as root,
        _attacker(stage, race.pair) as exchanges,
    ):
        files = ScopedFiles(Workspace(root, Quota(Limits())), PERSON)
        while attempts < rounds or (exchanges() < LEAST_EXCHANGES and time.monotonic() < ends):
            attempts += 1
            if attempts % _BATCH == 0:
                os.sched_yield()
            with suppress(MissionError):
                answer = race.attempt(files, stage)
                done += 1
                escapes += MARK in repr(answer) or "canary_entry" in repr(answer)
        count = exchanges()
    if stage.snapshot() != outside:
        escapes += 1
    return Tally(attempts, count, done, escapes)


@contextmanager
def _attacker(stage: Stage, pair: tuple[str, str]) -> Iterator[Callable[[], int]]:
    """Exchange the two names in another process; gives a function that counts the exchanges."""
    counter = mmap.mmap(-1, 8)
    child = os.fork()
    if child == 0:
        _LIBC.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        _exchange_for_ever([os.fsencode(stage.jail / name) for name in pair], counter)
    try:
        yield lambda: int.from_bytes(counter[:8], "little")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _exchange_for_ever(names: list[bytes], counter: mmap.mmap) -> None:
    count = 0
    while True:
        if _exchange(*names):
            count += 1
            counter[:8] = count.to_bytes(8, "little")


def _exchange(one: bytes, other: bytes) -> bool:
    if _LIBC.renameat2(_AT_FDCWD, one, _AT_FDCWD, other, _EXCHANGE) == 0:
        return True
    if ctypes.get_errno() not in {errno.EINVAL, errno.ENOSYS}:
        return False
    # A file system that cannot: for a moment the name is missing.
    aside = one + b".now"
    moves = ((one, aside), (other, one), (aside, other))
    return all(_LIBC.rename(*move) == 0 for move in moves)


def _swap_leaf(stage: Stage) -> None:
    """`x` is a file, or a link to a file outside."""
    (stage.jail / "x").write_text("inside")
    (stage.jail / "x.alt").symlink_to("../../../outside/secret.txt")


def _swap_victim(stage: Stage) -> None:
    """`x` is a file, or a link to a file outside that would be written."""
    (stage.jail / "x").write_text("inside")
    (stage.jail / "x.alt").symlink_to("../../../outside/victim.txt")


def _swap_second_name(stage: Stage) -> None:
    (stage.jail / "x").write_text("inside")
    (stage.jail / "x.alt").hardlink_to(stage.outside / "secret.txt")


def _swap_pipe(stage: Stage) -> None:
    (stage.jail / "x").write_text("inside")
    os.mkfifo(stage.jail / "x.alt")


def _swap_folder(stage: Stage) -> None:
    """`d` is a folder, or a link to one outside with the same names in it."""
    (stage.jail / "d").mkdir()
    (stage.jail / "d" / "f.txt").write_text("inside")
    (stage.jail / "d.alt").symlink_to("../../../outside/dir")


def _swap_folder_and_pipe(stage: Stage) -> None:
    (stage.jail / "d").mkdir()
    os.mkfifo(stage.jail / "d.alt")


def _grow(stage: Stage) -> None:
    (stage.jail / "t").mkdir(exist_ok=True)
    with suppress(FileExistsError):
        (stage.jail / "t" / "s").mkdir()
    with suppress(FileExistsError):
        (stage.jail / "s.alt").symlink_to("../../../../outside/dir")
    with suppress(OSError):
        folder = os.open(stage.jail / "t" / "s", os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
        with suppress(OSError):
            os.close(os.open("f.txt", os.O_CREAT, 0o600, dir_fd=folder))
        os.close(folder)


def _read_leaf(files: ScopedFiles, _: Stage) -> object:
    return files.read("x")


def _stat_behind(files: ScopedFiles, _: Stage) -> object:
    # Only outside there is such a name.
    return files.exists("d/canary_entry") and MARK


def _write_leaf(files: ScopedFiles, _: Stage) -> object:
    return files.write("x", b"attacker")


def _append_leaf(files: ScopedFiles, _: Stage) -> object:
    if len(files.read("x").data) > 1_000:
        files.write("x", b"")
    return files.append("x", b"attacker")


def _edit_leaf(files: ScopedFiles, _: Stage) -> object:
    return files.edit("x", b"i", b"i", everywhere=True)


def _write_behind(files: ScopedFiles, _: Stage) -> object:
    return files.write("d/new.txt", b"attacker")


def _delete_behind(files: ScopedFiles, _: Stage) -> object:
    files.delete("d/f.txt")
    return files.write("d/f.txt", b"again")


def _make_behind(files: ScopedFiles, _: Stage) -> object:
    files.mkdir("d/new")
    return files.delete("d/new")


def _move_there(files: ScopedFiles, _: Stage) -> object:
    files.write("m", b"attacker")
    return files.move("m", "d/m", overwrite=True)


def _move_from_there(files: ScopedFiles, _: Stage) -> object:
    files.move("d/f.txt", "m", overwrite=True)
    moved = files.read("m").data
    files.move("m", "d/f.txt")
    return moved


def _delete_tree(files: ScopedFiles, stage: Stage) -> object:
    _grow(stage)
    return files.delete("t", recursive=True)


def _search_all(files: ScopedFiles, _: Stage) -> object:
    return files.search(".", MARK).matches


RACES: Final = {
    "read, leaf": Race(("x", "x.alt"), _read_leaf, _swap_leaf),
    "read, parent": Race(("d", "d.alt"), lambda f, _: f.read("d/f.txt"), _swap_folder),
    "read, second name": Race(("x", "x.alt"), _read_leaf, _swap_second_name),
    "read, pipe": Race(("x", "x.alt"), _read_leaf, _swap_pipe),
    "stat, leaf": Race(("x", "x.alt"), lambda f, _: f.stat("x"), _swap_leaf),
    "exists, parent": Race(("d", "d.alt"), _stat_behind, _swap_folder),
    "list, parent": Race(("d", "d.alt"), lambda f, _: f.list("d"), _swap_folder),
    "list, pipe": Race(("d", "d.alt"), lambda f, _: f.list("d"), _swap_folder_and_pipe),
    "search, parent": Race(("d", "d.alt"), _search_all, _swap_folder),
    "search, leaf": Race(("x", "x.alt"), _search_all, _swap_leaf),
    "search, pipe": Race(("x", "x.alt"), _search_all, _swap_pipe),
    "write, leaf": Race(("x", "x.alt"), _write_leaf, _swap_victim),
    "write, parent": Race(("d", "d.alt"), _write_behind, _swap_folder),
    "write, pipe": Race(("x", "x.alt"), _write_leaf, _swap_pipe),
    "append, leaf": Race(("x", "x.alt"), _append_leaf, _swap_victim),
    "edit, leaf": Race(("x", "x.alt"), _edit_leaf, _swap_victim),
    "delete, parent": Race(("d", "d.alt"), _delete_behind, _swap_folder),
    "delete, tree": Race(("t/s", "s.alt"), _delete_tree, _grow),
    "mkdir, parent": Race(("d", "d.alt"), _make_behind, _swap_folder),
    "move, target": Race(("d", "d.alt"), _move_there, _swap_folder),
    "move, source": Race(("d", "d.alt"), _move_from_there, _swap_folder),
}
