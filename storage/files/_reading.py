"""The operations that change nothing.  They take no locks: a write replaces a file whole."""

from __future__ import annotations

import os

from ._kinds import Kind, check_file, check_usable, is_usable, kind_of
from ._limits import Limits
from ._names import RESERVED_PREFIX, Names, is_addressable, shown
from ._reasons import Reason, refusal
from ._records import Content, Entry, Stat
from ._root import ProjectRoot, look
from ._workspace import Workspace


def read(place: Workspace, names: Names, offset: int = 0, length: int | None = None) -> Content:
    """Read *length* bytes from *offset*; by default all to the end, if the limit allows it."""
    descriptor = place.root.open_file(names)
    try:
        found = os.fstat(descriptor)
        check_file(found, names)
        size = found.st_size
        span = size if length is None and not offset else _span(size, offset, length)
        if span > place.limits.read:
            raise _too_large(names, span, place.limits)
        data = os.pread(descriptor, span, offset)
        if len(data) != span:
            data += _rest(descriptor, offset + len(data), span - len(data))
    finally:
        os.close(descriptor)
    return Content(data, offset, size)


def list_entries(place: Workspace, names: Names) -> tuple[Entry, ...]:
    """Return what is in a folder, by name, without the service's passing files."""
    entries: list[Entry] = []
    limits = place.limits
    with place.root.folder(names) as folder, os.scandir(folder) as found:
        for each in found:
            if each.name.startswith(RESERVED_PREFIX):
                continue
            if len(entries) == limits.listed:
                raise refusal(
                    Reason.TOO_MANY_ENTRIES,
                    f"{shown(names)} has more than {limits.listed} entries: search in it",
                    limit=limits.listed,
                )
            entry = _entry(folder, each.name)
            if entry is not None:
                entries.append(entry)
    return tuple(sorted(entries, key=lambda entry: entry.name))


def stat(root: ProjectRoot, names: Names) -> Stat:
    """Return what is known of a file or folder; links and the like are refused."""
    if not names:
        with root.folder(()) as folder:
            found: os.stat_result | None = os.fstat(folder)
    else:
        with root.folder(names[:-1]) as folder:
            found = look(folder, names[-1])
    if found is None:
        raise refusal(
            Reason.NOT_FOUND, f"{shown(names)} does not exist: list its folder", path=shown(names)
        )
    check_usable(found, names)
    return Stat(kind_of(found), found.st_size, found.st_mtime_ns)


def _span(size: int, offset: int, length: int | None) -> int:
    left = max(0, size - offset)
    return left if length is None else min(length, left)


def _rest(descriptor: int, offset: int, length: int) -> bytes:
    """Read on where one call gave less than asked; a file that was cut meanwhile ends there."""
    parts = []
    while length and (data := os.pread(descriptor, length, offset)):
        parts.append(data)
        offset, length = offset + len(data), length - len(data)
    return b"".join(parts)


def _entry(folder: int, name: str) -> Entry | None:
    found = look(folder, name)
    if found is None:
        return None
    kind = kind_of(found)
    return Entry(
        name=os.fsencode(name).decode(errors="backslashreplace"),
        kind=kind,
        size=found.st_size if kind is Kind.FILE else None,
        mtime_ns=found.st_mtime_ns,
        addressable=is_usable(found) and is_addressable(name),
    )


def _too_large(names: Names, size: int, limits: Limits) -> Exception:
    return refusal(
        Reason.TOO_LARGE,
        f"{'/'.join(names)} has {size} bytes to read, and a call {limits.read}: read ranges",
        size=size,
        limit=limits.read,
    )
