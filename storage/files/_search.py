"""Finding a text in the files of a project: a plain text, so that no pattern can run for ever."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Final

import attrs

from ._access import Access, may_see
from ._descent import Step, descend
from ._kinds import Kind, is_usable, kind_of
from ._limits import Limits
from ._names import Names, is_addressable
from ._records import Found, Match
from ._root import ProjectRoot
from ._workspace import Workspace

_LINE_CHARS: Final = 500


@attrs.frozen
class Query:
    """What to look for."""

    text: str
    glob: str = "*"
    """Of the file's name, with `*`, `?` and `[...]`."""
    ignore_case: bool = False


def search(place: Workspace, access: Access, names: Names, query: Query) -> Found:
    """Look through the files below a folder; what is no UTF-8 text or too large is left out."""
    root, limits = place.root, place.limits
    matches: list[Match] = []
    budget, until = limits.searched, time.monotonic() + limits.search_s
    with root.folder(names) as folder:
        for step in descend(root, folder, limits):
            if time.monotonic() > until:
                return Found(tuple(matches), complete=False)
            if not _is_wanted(step, names, access, query.glob):
                continue
            data = _data_of(root, step, limits)
            budget -= len(data)
            matches += _matches(data, "/".join((*names, *step[1])), query)
            if len(matches) > limits.matches or budget < 0:
                return Found(tuple(matches[: limits.matches]), complete=False)
    return Found(tuple(matches), complete=True)


def _is_wanted(step: Step, start: Names, access: Access, glob: str) -> bool:
    _, below, found = step
    if kind_of(found) is not Kind.FILE or not is_usable(found):
        return False
    if not fnmatchcase(below[-1], glob) or not all(map(is_addressable, below)):
        return False
    return may_see(access, (*start, *below)[0])


def _data_of(root: ProjectRoot, step: Step, limits: Limits) -> bytes:
    """Read a file as it is now; empty if it has become something else."""
    folder, below, _ = step
    try:
        descriptor = root.open_file_in(folder, below[-1])
    except OSError:
        return b""
    try:
        found = os.fstat(descriptor)
        if kind_of(found) is not Kind.FILE or not is_usable(found) or found.st_size > limits.read:
            return b""
        return os.pread(descriptor, found.st_size, 0)
    finally:
        os.close(descriptor)


def _matches(data: bytes, path: str, query: Query) -> Iterator[Match]:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    wanted = query.text.casefold() if query.ignore_case else query.text
    if wanted not in (text.casefold() if query.ignore_case else text):
        return
    for number, line in enumerate(text.splitlines(), 1):
        at = (line.casefold() if query.ignore_case else line).find(wanted)
        if at >= 0:
            yield Match(path, number, at + 1, line[:_LINE_CHARS])
