"""An archived piece of the log: one gzip file of JSON lines, one change a line."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import attrs

from .._durable import sync_folder
from .._errors import Unavailable
from .._records import Change

_FIELDS = [field.name for field in attrs.fields(Change)]


@attrs.frozen
class Segment:
    """Changes *first* to *last*, in *file* of the archive's folder.

    The database keeps the list of them: after a restore, files of the history that was given up
    may lie beside those that count.
    """

    first: int
    last: int
    earliest: int
    """The smallest time of a change in it."""
    sha256: str
    """Of the lines."""
    file: str


class LogDamaged(Unavailable):
    """An archived piece of the log is missing or not as it was written; names the file."""


def to_line(change: Change) -> bytes:
    """Return *change* as one line; its after-image stays the text that it was."""
    members = {name: getattr(change, name) for name in _FIELDS}
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def of_line(line: bytes) -> Change:
    """Make the change of what :func:`to_line` returned."""
    return Change(**json.loads(line.decode()))


def lines_about(project_id: str, entities: Iterable[str]) -> Callable[[bytes], object]:
    """Return what tells the lines about these tables of one project, without parsing them."""
    project = re.escape(json.dumps(project_id, ensure_ascii=False))
    names = "|".join(map(re.escape, entities))
    start = rf'{{"seq":[0-9]+,"project_id":{project},"kind":"[^"]*","entity":"(?:{names})"'
    return re.compile(start.encode()).match


def write_segment(folder: Path, file: str, changes: Iterable[Change]) -> Segment:
    """Write *changes*, at least one, to *file* in *folder*: whole and durable, or not at all."""
    path = folder / file
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    staged = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"
    try:
        segment = _write(staged, file, changes)
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)
    for parent in (path.parent, folder, folder.parent):
        sync_folder(parent)
    return segment


def _write(path: Path, file: str, changes: Iterable[Change]) -> Segment:
    digest = hashlib.sha256()
    first = last = earliest = -1
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as raw:
        # No name and no time in the header: the same changes give the same file.
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed:
            for change in changes:
                line = to_line(change)
                digest.update(line)
                packed.write(line)
                earliest = change.at if last < 0 else min(earliest, change.at)
                first = change.seq if last < 0 else first
                last = change.seq
        raw.flush()
        os.fsync(raw.fileno())
    return Segment(first, last, earliest, digest.hexdigest(), file)


def verify_segment(folder: Path, segment: Segment) -> None:
    """Read the whole file of *segment*.

    Raises:
        LogDamaged: it is missing, or not what was written.
    """
    for _ in _lines(folder, segment):
        pass


def read_segment(
    folder: Path, segment: Segment, *, wanted: Callable[[bytes], object] = bool
) -> Iterator[Change]:
    """Yield the changes of *segment* in order; only those whose line is *wanted*.

    Raises:
        LogDamaged: the file is missing, or something is wrong with it; perhaps only after all
            was yielded, since the checksum is known at the end.
    """
    for line in _lines(folder, segment):
        if wanted(line):
            try:
                change = of_line(line)
            except (ValueError, TypeError) as error:
                raise _damaged(folder, segment, str(error)) from error
            yield change


def _lines(folder: Path, segment: Segment) -> Iterator[bytes]:
    digest, seen = hashlib.sha256(), 0
    try:
        # The buffer yields lines at five times the speed of GzipFile.
        with gzip.open(folder / segment.file) as packed, io.BufferedReader(packed) as lines:
            for line in lines:
                digest.update(line)
                seen += 1
                yield line
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(folder, segment, str(error)) from error
    if seen != segment.last - segment.first + 1 or digest.hexdigest() != segment.sha256:
        raise _damaged(folder, segment, "its checksum is not what was written")


def _damaged(folder: Path, segment: Segment, why: str) -> LogDamaged:
    return LogDamaged(
        f"changes {segment.first} to {segment.last} cannot be read from"
        f" {folder / segment.file} ({why}): put a good copy of that file back",
        first=segment.first,
        last=segment.last,
    )
