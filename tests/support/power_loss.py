"""A disk that loses its power: what SQLite wrote and synced, and what may be left of it.

SQLite's calls to the operating system are recorded by a VFS of apsw's.  Of what was written to a
file after its last sync, a power cut may leave all, nothing, or any part: each sector of 512 bytes
is kept, lost or torn by itself, and whether the file grew or shrank may be forgotten too.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import apsw
import attrs

SECTOR: Final = 512


@attrs.frozen
class Wrote:
    file: str
    offset: int
    data: bytes

    def sectors(self) -> Iterator[Wrote]:
        """The same, cut where sectors end."""
        start = self.offset
        end = self.offset + len(self.data)
        while start < end:
            stop = min(end, start - start % SECTOR + SECTOR)
            yield Wrote(self.file, start, self.data[start - self.offset : stop - self.offset])
            start = stop


@attrs.frozen
class Cut:
    """The file was made this long."""

    file: str
    size: int


@attrs.frozen
class Synced:
    file: str


Operation: TypeAlias = Wrote | Cut | Synced


class Recorder(apsw.VFS):
    """Passes everything on to the operating system, and keeps what changes a file, in order."""

    def __init__(self, name: str) -> None:
        self.operations: list[Operation] = []
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802 - SQLite's name
        return _RecordedFile(self.operations, name, flags)


class _RecordedFile(apsw.VFSFile):
    def __init__(self, operations: list[Operation], name: Any, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._file = Path(path).name
        self._operations = operations
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._operations.append(Wrote(self._file, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self._operations.append(Cut(self._file, size))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self._operations.append(Synced(self._file))


@attrs.define
class Disk:
    """What is safe, and what has been written since the last sync of its file."""

    safe: dict[str, bytearray]
    waiting: defaultdict[str, list[Wrote | Cut]] = attrs.field(factory=lambda: defaultdict(list))

    def do(self, operation: Operation) -> None:
        """Go on by one operation."""
        match operation:
            case Synced(file):
                content = self.safe.setdefault(file, bytearray())
                for each in self.waiting.pop(file, []):
                    _change(content, each)
            case Wrote(file) | Cut(file):
                self.waiting[file].append(operation)

    def after_power_loss(self, chance: random.Random) -> dict[str, bytearray]:
        """What the files may hold when the power is back."""
        left = {file: bytearray(content) for file, content in self.safe.items()}
        for file, operations in self.waiting.items():
            content = left.setdefault(file, bytearray())
            for each in _survivors(operations, chance):
                _change(content, each)
        return left


def _survivors(operations: Iterable[Wrote | Cut], chance: random.Random) -> Iterator[Wrote | Cut]:
    mode = chance.choice(("nothing", "everything", "parts", "parts"))
    for operation in operations:
        match mode, operation:
            case "nothing", _:
                return
            case "everything", _:
                yield operation
            case _, Cut():
                if chance.random() < 0.5:
                    yield operation
            case _, Wrote():
                for sector in operation.sectors():
                    yield from _remains(sector, chance)


def _remains(sector: Wrote, chance: random.Random) -> Iterator[Wrote]:
    fate = chance.random()
    if fate < 0.45:
        yield sector
    elif fate < 0.55:  # torn: a beginning of the new, and the rest of the old
        yield attrs.evolve(sector, data=sector.data[: chance.randrange(len(sector.data))])


def _change(content: bytearray, operation: Wrote | Cut) -> None:
    match operation:
        case Cut(_, size):
            del content[size:]
        case Wrote(_, offset, data):
            if len(content) < offset:
                content.extend(bytes(offset - len(content)))
            content[offset : offset + len(data)] = data


@attrs.frozen
class ApswConnection:
    """As much of `sqlite3.Connection` as the writer uses."""

    inner: apsw.Connection

    @property
    def in_transaction(self) -> bool:
        return self.inner.in_transaction

    def execute(self, sql: str, values: Any = ()) -> apsw.Cursor:
        return self.inner.execute(sql, tuple(values))

    def executemany(self, sql: str, rows: Any) -> apsw.Cursor:
        return self.inner.executemany(sql, rows)

    def close(self) -> None:
        self.inner.close()
