"""What an attempt leaves behind that calls nothing of ours: files that it changed by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import trio

from ..storage import US

LOOKED_AT = 20_000
"""Files that are looked at; in a larger folder a change may be missed."""

LEFT_OUT = frozenset({"__pycache__", "node_modules"})
"""Folders of what arises when one only looks around; so do those whose names begin with a dot."""

COMMITS = Path(".git", "logs", "HEAD")
"""Grows with every commit, and with nothing that only looks."""


COARSE_NS = 10_000_000
"""The clock of files stands still for some milliseconds at a time."""


async def changed_since(folder: Path, at_us: int) -> bool:
    """Whether a file in *folder* was written, replaced or moved, or a commit made, since a time."""
    return await trio.to_thread.run_sync(partial(_changed_since, folder, at_us))


def _changed_since(folder: Path, at_us: int) -> bool:
    since_ns = at_us * (1_000_000_000 // US) - COARSE_NS
    newest = islice(_changes(folder), LOOKED_AT)
    return _changed_at(folder / COMMITS) >= since_ns or any(at >= since_ns for at in newest)


def _changed_at(path: Path) -> int:
    try:
        return path.stat(follow_symlinks=False).st_ctime_ns
    except OSError:
        return 0


def _changes(folder: Path) -> Iterator[int]:
    """Yield when each file was changed; what cannot be read is left out."""
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in LEFT_OUT and name[0] != "."]
        for name in names:
            yield _changed_at(Path(path, name))
