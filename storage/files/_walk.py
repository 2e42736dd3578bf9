"""The way down, name by name: what Linux can do without `openat2`.

Every name is opened in the descriptor of the one before it, without following links, and its
mount is compared with the root's.  The device number would not do: a bind mount of the same file
system has the same one.  Each name costs four system calls.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from ._names import Names

_STEP: Final = os.O_DIRECTORY | getattr(os, "O_PATH", os.O_RDONLY)
"""Folders on the way need not be readable."""
_ALWAYS: Final = os.O_NOFOLLOW | os.O_CLOEXEC


class Walk:
    """Opens beneath *root*, one system call a name and some to check it."""

    name = "walk"

    __slots__ = ("_mount", "_root")

    def __init__(self, root: int) -> None:
        self._root = root
        self._mount = mount_id(root)

    def open(self, names: Names, flags: int) -> int:
        if not names:
            return os.open(".", flags | _ALWAYS, dir_fd=self._root)
        folder = self._root
        try:
            for name in names[:-1]:
                below = self.open_in(folder, name, _STEP)
                if folder != self._root:
                    os.close(folder)
                folder = below
            return self.open_in(folder, names[-1], flags)
        finally:
            if folder != self._root:
                os.close(folder)

    def open_in(self, folder: int, name: str, flags: int) -> int:
        try:
            descriptor = os.open(name, flags | _ALWAYS, dir_fd=folder)
        except NotADirectoryError:
            _raise_if_link(folder, name)
            raise
        try:
            self._check_mount(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _check_mount(self, descriptor: int) -> None:
        if mount_id(descriptor) != self._mount:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def works() -> bool:
    """Whether mounts can be told apart."""
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mount_id(folder)
    except OSError:
        return False
    finally:
        os.close(folder)
    return True


def mount_id(descriptor: int) -> int:
    """Return which mount *descriptor* is of (proc(5), `fdinfo`).

    Raises:
        OSError: `/proc` does not say.
    """
    info = os.open(f"/proc/self/fdinfo/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        for line in os.read(info, 1024).splitlines():
            if line.startswith(b"mnt_id:"):
                return int(line[7:])
    finally:
        os.close(info)
    raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))


def _raise_if_link(folder: int, name: str) -> None:
    """With `O_DIRECTORY` Linux answers ENOTDIR for a link too; the caller wants to know."""
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
