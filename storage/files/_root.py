"""The folders that file operations work in: the only module that opens anything.

Others are given descriptors, never paths: what was checked is what is used.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import attrs

from .._errors import Unavailable
from ._kernel import FILE, FOLDER, MakeOpener, Opener, best_opener
from ._names import RESERVED_PREFIX, Names, check_project
from ._reasons import refusal_of

STAGING: Final = ".staging"
"""Beside the projects, so on their file system, and in none of them: no id begins with a dot."""
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@attrs.frozen
class Staged:
    """A file that is whole and on the disk, but not yet in its place."""

    name: str
    folder: int
    identity: tuple[int, int]


class ProjectRoot:
    """One project's folder, held open while a `with` block of :meth:`Projects.open` runs."""

    __slots__ = ("_folder", "_opener", "_staging", "project")

    def __init__(self, project: str, folder: int, staging: int, opener: Opener) -> None:
        self.project = project
        self._folder = folder
        self._opener = opener
        self._staging = staging if _device(staging) == _device(folder) else None

    @property
    def opener(self) -> str:
        """The name of the way to open, for the status page."""
        return self._opener.name

    def open_file(self, names: Names) -> int:
        """Open for reading, without waiting; may still be anything but a link: look at it."""
        return self._opener.open(names, FILE)

    def open_file_in(self, folder: int, name: str) -> int:
        """Do the same one level below *folder*."""
        return self._opener.open_in(folder, name, FILE)

    def open_folder(self, names: Names) -> int:
        """Open the folder that *names* lead to."""
        return self._opener.open(names, FOLDER)

    @contextmanager
    def folder(self, names: Names) -> Iterator[int]:
        """Hold the folder that *names* lead to open."""
        descriptor = self._opener.open(names, FOLDER)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def folder_in(self, folder: int, name: str) -> Iterator[int]:
        """Hold a folder one level below *folder* open."""
        descriptor = self._opener.open_in(folder, name, FOLDER)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def leads_to(self, names: Names, folder: int) -> bool:
        """Whether *names* still lead to the open *folder*.

        A folder that somebody moved out of the project stays open, and what is then written goes
        with it.  To look is a detector, not a wall: the wall is that nobody who writes in a project
        may write outside of it.
        """
        try:
            again = self._opener.open(names, FOLDER)
        except OSError:
            return False
        try:
            return os.path.samestat(os.fstat(again), os.fstat(folder))
        finally:
            os.close(again)

    def stage(self, data: bytes, mode: int | None, beside: int) -> Staged:
        """Hold *data* ready on the disk, until :meth:`discard`.

        Only in a project that is a mount of its own this happens *beside* the file's place, under
        a name that no operation accepts.
        """
        folder = beside if self._staging is None else self._staging
        name = RESERVED_PREFIX + secrets.token_hex(12)
        descriptor = os.open(name, _NEW_FILE, 0o644, dir_fd=folder)
        try:
            _write_all(descriptor, data)
            made = os.fstat(descriptor)
            if mode is not None and (mode ^ made.st_mode) & 0o777:
                os.fchmod(descriptor, mode & 0o777)
            os.fsync(descriptor)
        except BaseException:
            _unlink(name, folder)
            raise
        finally:
            os.close(descriptor)
        return Staged(name, folder, identity_of(made))

    def discard(self, staged: Staged) -> None:
        """Remove what is still, or again, under the staged name."""
        _unlink(staged.name, staged.folder)

    def read_staged(self, staged: Staged) -> bytes:
        """Return the bytes of the file that an exchange put there."""
        # Nobody else reaches the staging folder: what was a file there a moment ago still is.
        flags = FILE | os.O_NOFOLLOW
        with os.fdopen(os.open(staged.name, flags, dir_fd=staged.folder), "rb") as file:
            return file.read()


class Projects:
    """The folder that holds all projects; owned by one process a home (see `hold_home`).

    A context manager; *make_opener* is there for tests.
    """

    def __init__(self, path: Path, make_opener: MakeOpener | None = None) -> None:
        self._make_opener = make_opener
        self._folder = os.open(path, FOLDER)
        try:
            with suppress(FileExistsError):
                os.mkdir(STAGING, 0o700, dir_fd=self._folder)
            self._staging = os.open(STAGING, FOLDER | os.O_NOFOLLOW, dir_fd=self._folder)
        except OSError:
            os.close(self._folder)
            raise
        os.fchmod(self._staging, 0o700)
        self._sweep()

    @property
    def opener(self) -> str | None:
        """The name of the way to open, for the status page; None where no way is safe."""
        try:
            return (self._make_opener or best_opener())(self._folder).name
        except Unavailable:
            return None

    def __enter__(self) -> Projects:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folders; nothing is opened through this any more."""
        os.close(self._staging)
        os.close(self._folder)

    @contextmanager
    def open(self, project: str) -> Iterator[ProjectRoot]:
        """Hold the folder of *project* open.

        Raises:
            Invalid: that is no id of a project.
            NotFound: there is no such folder.
            Forbidden: it is a link.
            Unavailable: this system has no safe way to open files.
        """
        name = check_project(project)
        make_opener = self._make_opener or best_opener()
        try:
            # Not through the opener: a project may be a mount of its own.
            descriptor = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=self._folder)
        except OSError as failure:
            raise refusal_of(failure, name) from failure
        try:
            yield ProjectRoot(name, descriptor, self._staging, make_opener(descriptor))
        finally:
            os.close(descriptor)

    def _sweep(self) -> None:
        """Remove what a killed process left; nobody else gets into this folder."""
        for name in os.listdir(self._staging):  # noqa: PTH208 - a descriptor has no path
            try:
                os.unlink(name, dir_fd=self._staging)
            except OSError:
                shutil.rmtree(name, dir_fd=self._staging, ignore_errors=True)


def look(folder: int, name: str) -> os.stat_result | None:
    """Return what *name* in *folder* is, links not followed; None if it is not there."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def identity_of(found: os.stat_result) -> tuple[int, int]:
    """Return what tells a file from all others while it is open."""
    return found.st_dev, found.st_ino


def _unlink(name: str, folder: int) -> None:
    # A folder that somebody put in our file's place waits for the next sweep.
    with suppress(OSError):
        os.unlink(name, dir_fd=folder)


def _device(descriptor: int) -> int:
    return os.fstat(descriptor).st_dev


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
