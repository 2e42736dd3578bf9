"""The files that go with a database: read with care, for agents may write beside them.

Each step down is made from the folder before it, by descriptor and, below `projects` and `souls`,
never through a link.  Nothing is waited for, and each project has a budget, so that none can fill
the disk with its backups.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import attrs

from ._manifest import KeptFile, belongs

MAX_FILE_BYTES = 16 << 20
MAX_BYTES = 256 << 20
MAX_FILES = 10_000
MAX_LISTED_BYTES = 4 << 20
"""Of the manifest: for what was kept, and for what lay there and was not."""

_LISTED_BYTES = 200
"""About so long is what a manifest says of a file, without its path."""

MAX_DEPTH = 12
"""Of folders: further down lies a trap, not a note."""

Parts: TypeAlias = tuple[str, ...]

_CAREFULLY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TOP = {"mission-control.toml", "mission-control.template", "souls", "projects"}
_OF_A_PROJECT = {
    "KANBAN.md", "CHRONICLE.md", ".context", ".template", "daily", "agents", "archive",
}  # fmt: skip


@attrs.define
class _Budget:
    """What is left for one project, or for all souls."""

    bytes: int = attrs.field(factory=lambda: MAX_BYTES)
    files: int = attrs.field(factory=lambda: MAX_FILES)
    listed: int = attrs.field(factory=lambda: MAX_LISTED_BYTES)

    @property
    def spent(self) -> bool:
        return self.files <= 0 or self.listed <= 0


@attrs.define
class Harvest:
    """Copies what belongs into a backup from a home to *target*.

    Attributes:
        kept: what was copied.
        skipped: what lay there and was left, each with the reason.
    """

    target: Path
    on_file: Callable[[str], None]
    kept: list[KeptFile] = attrs.field(factory=list)
    skipped: list[str] = attrs.field(factory=list)
    _budgets: dict[Parts, _Budget] = attrs.field(factory=lambda: defaultdict(_Budget))

    def gather(self, home: Path) -> None:
        """Copy all of *home* that belongs.

        Raises:
            OSError: the copy cannot be written.
        """
        top = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._descend(top, ())
        finally:
            os.close(top)

    def _descend(self, folder: int, path: Parts) -> None:
        for name in self._names(folder, path):
            inside = (*path, name)
            if not _leads_on(inside):
                continue
            budget = self._budget(inside)
            if budget.spent:
                self._skip(path, f"from {_readable(name)!r} on: too many files")
                return
            budget.listed -= _LISTED_BYTES + len(json.dumps(inside))
            self._visit(folder, inside)

    def _names(self, folder: int, path: Parts) -> list[str]:
        try:
            return sorted(os.listdir(folder))
        except OSError as error:
            self._skip(path, _why(error))
            return []

    def _budget(self, path: Parts) -> _Budget:
        return self._budgets[path[:2] if path[0] == "projects" else path[:1]]

    def _visit(self, folder: int, path: Parts) -> None:
        try:
            descriptor = os.open(path[-1], _flags(path), dir_fd=folder)
        except FileNotFoundError:
            return  # it was replaced or removed just now
        except OSError as error:
            self._skip(path, _why(error))
            return
        try:
            self._take(descriptor, path)
        finally:
            os.close(descriptor)

    def _take(self, descriptor: int, path: Parts) -> None:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode) and len(path) < MAX_DEPTH:
            self._descend(descriptor, path)
        elif stat.S_ISDIR(found.st_mode):
            self._skip(path, "too deep")
        elif stat.S_ISREG(found.st_mode) and belongs("/".join(path)):
            self._keep(descriptor, path, stat.S_IMODE(found.st_mode) & 0o777)
        else:
            self._skip(path, "no plain file")

    def _keep(self, descriptor: int, path: Parts, mode: int) -> None:
        budget = self._budget(path)
        try:
            data = _read(descriptor, MAX_FILE_BYTES + 1)
        except OSError as error:  # of a disk that fails: all the more is the rest to be kept
            self._skip(path, _why(error))
            return
        if len(data) > MAX_FILE_BYTES:
            self._skip(path, f"larger than {MAX_FILE_BYTES >> 20} MiB")
        elif len(data) > budget.bytes:
            self._skip(path, f"more than {MAX_BYTES >> 20} MiB in its project")
        else:
            budget.bytes -= len(data)
            budget.files -= 1
            self._copy(data, "/".join(path), mode)

    def _copy(self, data: bytes, path: str, mode: int) -> None:
        place = self.target / path
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_new(place, data)
        self.kept.append(KeptFile(path, len(data), hashlib.sha256(data).hexdigest(), mode))
        self.on_file(path)

    def _skip(self, path: Parts, why: str) -> None:
        self.skipped.append(f"{_readable('/'.join(path))}: {why}")


def write_new(path: Path, data: bytes) -> None:
    """Write the new file *path*, for its owner only, and have it on the disk."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _flags(path: Parts) -> int:
    # These two are the owner's, who may keep them on another disk.
    return _CAREFULLY & ~os.O_NOFOLLOW if path in {("souls",), ("projects",)} else _CAREFULLY


def _leads_on(path: Parts) -> bool:
    match path:
        case (name,):
            return name in _TOP
        case ("projects", _, name):
            return name in _OF_A_PROJECT
        case _:
            # Not what a writer has not yet moved into its place.
            return not (path[-1].startswith(".") and path[-1].endswith(".tmp"))


def _read(descriptor: int, limit: int) -> bytes:
    chunks = []
    while limit > 0 and (chunk := os.read(descriptor, min(limit, 1 << 20))):
        chunks.append(chunk)
        limit -= len(chunk)
    return b"".join(chunks)


def _readable(name: str) -> str:
    """Return a name that people and UTF-8 can bear, whatever bytes an agent made it of."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _why(error: OSError) -> str:
    return "a link" if error.errno == errno.ELOOP else str(error.strerror).lower()
