"""All that lies below a folder, while others may change it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, TypeAlias

import attrs

from ._kinds import Kind, kind_of
from ._limits import Limits
from ._names import Names
from ._reasons import Reason, refusal
from ._root import ProjectRoot, look

Step: TypeAlias = tuple[int, Names, os.stat_result]
"""The folder (open until the next step), the names from the start, and what is there."""

_CHANGED: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV, errno.EACCES})
"""What a folder has become meanwhile that is then left out; and mounts, which always are."""
_EXCHANGED: Final = frozenset({errno.ENOTDIR, errno.ELOOP, errno.ENOTEMPTY})
_ATTEMPTS: Final = 3


@attrs.frozen
class Usage:
    """What a project takes."""

    bytes: int
    files: int
    """And folders."""


def descend(root: ProjectRoot, folder: int, limits: Limits, names: Names = ()) -> Iterator[Step]:
    """Yield what is below *folder*, a folder before what is in it, down to the limit of depth.

    Links are not followed, and mounts are left out.
    """
    if len(names) > limits.depth:
        return
    for name in sorted(os.listdir(folder)):
        found = look(folder, name)
        if found is None:
            continue
        yield folder, (*names, name), found
        if kind_of(found) is Kind.FOLDER:
            yield from _descend_into(root, folder, limits, (*names, name))


def _descend_into(root: ProjectRoot, folder: int, limits: Limits, names: Names) -> Iterator[Step]:
    try:
        with root.folder_in(folder, names[-1]) as below:
            yield from descend(root, below, limits, names)
    except OSError as failure:
        if failure.errno not in _CHANGED:
            raise


def measure(root: ProjectRoot, limits: Limits) -> Usage:
    """Count what is in the project now."""
    bytes_, files = 0, 0
    with root.folder(()) as folder:
        for _, _, found in descend(root, folder, limits):
            bytes_ += 0 if kind_of(found) is Kind.FOLDER else found.st_size
            files += 1
    return Usage(bytes_, files)


def remove(root: ProjectRoot, folder: int, name: str, limits: Limits, depth: int = 0) -> None:
    """Delete *name* in *folder* with all that is in it; of a link, only the link.

    What somebody exchanges meanwhile is looked at again, and in the end it is EAGAIN.

    Raises:
        OSError: something could not be deleted; what is left can be deleted again.
    """
    if depth > limits.depth:
        raise _too_deep(limits)
    for _ in range(_ATTEMPTS):
        if _unlink(folder, name):
            return
        try:
            with root.folder_in(folder, name) as below:
                for each in os.listdir(below):  # noqa: PTH208 - a descriptor has no path
                    _remove_if_there(root, below, each, limits, depth + 1)
            os.rmdir(name, dir_fd=folder)
        except OSError as failure:
            if failure.errno not in _EXCHANGED:
                raise
        else:
            return
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def _remove_if_there(root: ProjectRoot, folder: int, name: str, limits: Limits, depth: int) -> None:
    with suppress(FileNotFoundError):
        remove(root, folder, name, limits, depth)


def _unlink(folder: int, name: str) -> bool:
    """Delete all but a folder, of which it returns False."""
    try:
        os.unlink(name, dir_fd=folder)
    except IsADirectoryError:
        return False
    except PermissionError:
        found = look(folder, name)
        if found is None or kind_of(found) is not Kind.FOLDER:
            raise
        return False  # what macOS says of a folder
    return True


def _too_deep(limits: Limits) -> Exception:
    return refusal(
        Reason.TOO_LARGE,
        f"The folder has more than {limits.depth} levels: name a folder further down.",
        limit=limits.depth,
    )
