"""Places of files in a home: reached by descriptor, step by step.

Agents may write below `projects` and `souls`.  There, what stands in the way, a link in place of a
folder say, is moved aside and never followed.  These two themselves may be links, and any folder
may be a file system of its own: a volume, say.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ._errors import BackupFailed

_TOP = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FOLDER = _TOP | os.O_NOFOLLOW
_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
_IN_THE_WAY = {errno.ENOTDIR, errno.ELOOP}
_HOPELESS = {errno.EBUSY, errno.ENAMETOOLONG, errno.EILSEQ}
_TELLING = 50
"""Characters of a name; with more behind them they still are a name that is short enough."""


def is_hopeless(error: OSError) -> bool:
    """Whether no later attempt can succeed: a mount of its own (EBUSY), an impossible name."""
    return error.errno in _HOPELESS


@contextmanager
def folder_of(home: Path, path: Path) -> Iterator[int]:
    """Open the folder *path* of the home, making what is missing of the way."""
    with _way(home, path, _enter) as folder:
        yield folder


def prove_writable(home: Path, paths: Iterable[Path]) -> None:
    """See that files can be put into the folders *paths* of the home, as far as they exist.

    Raises:
        BackupFailed: one of them cannot be entered, or takes no files.
    """
    for path in paths:
        try:
            with _way(home, path, _enter_if_there) as folder:
                name = _new_name()
                os.close(os.open(name, _NEW, 0o600, dir_fd=folder))
                os.unlink(name, dir_fd=folder)
        except OSError as error:
            raise BackupFailed(
                f"nothing can be put into {home / path} ({error.strerror}): see that it may be"
                " written; nothing was changed"
            ) from error


def prove_replaceable(path: Path, beside: Path) -> None:
    """See that *path* is no mount of its own; *beside* is a folder of the same file system.

    Raises:
        BackupFailed: it is.
    """
    try:
        os.link(path, beside / _new_name(), follow_symlinks=False)
    except OSError as error:  # other reasons, such as a file system without links, prove nothing
        if error.errno == errno.EXDEV:
            raise BackupFailed(
                f"{path} is a mount of its own and cannot be replaced: mount its folder instead"
            ) from error


def put(staged: Path, folder: int, name: str) -> None:
    """Give the file *staged* its place, unless an earlier attempt has."""
    try:
        _bring(staged, folder, name)
    except IsADirectoryError:
        _set_aside(folder, name)
        _bring(staged, folder, name)
    except FileNotFoundError:
        pass  # an earlier attempt has moved it


def remove(folder: int, name: str) -> None:
    """Remove a file, if it is there; a folder of its name is moved aside."""
    with suppress(FileNotFoundError):
        try:
            os.unlink(name, dir_fd=folder)
        except IsADirectoryError:
            _set_aside(folder, name)


def _bring(staged: Path, folder: int, name: str) -> None:
    try:
        os.rename(staged, name, dst_dir_fd=folder)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _carry(staged, folder, name)


def _carry(staged: Path, folder: int, name: str) -> None:
    """Copy to another file system; *staged* stays, for an attempt after a power cut."""
    there = _new_name()
    try:
        descriptor = os.open(there, _NEW, 0o600, dir_fd=folder)
        with os.fdopen(descriptor, "wb") as file:
            file.write(staged.read_bytes())
            file.flush()
            os.fchmod(descriptor, stat.S_IMODE(staged.stat().st_mode))
            os.fsync(descriptor)
        os.rename(there, name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(there, dir_fd=folder)


@contextmanager
def _way(home: Path, path: Path, enter: Callable[[int, str, int], int | None]) -> Iterator[int]:
    """Open the folder *path*, or the last one on the way there that *enter* leads into."""
    folder = os.open(home, _TOP)
    try:
        for depth, name in enumerate(path.parts):
            below = enter(folder, name, _FOLDER if depth else _TOP)
            if below is None:
                break
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)


def _enter(folder: int, name: str, flags: int) -> int:
    while True:
        try:
            return os.open(name, flags, dir_fd=folder)
        except FileNotFoundError:
            _make(folder, name)
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            _set_aside(folder, name)


def _make(folder: int, name: str) -> None:
    try:
        os.mkdir(name, dir_fd=folder)
    except FileExistsError:  # a link that leads nowhere
        _set_aside(folder, name)


def _enter_if_there(folder: int, name: str, flags: int) -> int | None:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as error:
        if error.errno not in {errno.ENOENT, *_IN_THE_WAY}:
            raise
        return None


def _set_aside(folder: int, name: str) -> None:
    other = f"{name[:_TELLING]}.replaced-{secrets.token_hex(4)}"
    os.rename(name, other, src_dir_fd=folder, dst_dir_fd=folder)


def _new_name() -> str:
    return f".restore.{secrets.token_hex(4)}.tmp"
