"""Renames that do not overwrite by accident, and that exchange two names at once.

Linux has `renameat2(2)`, macOS `renameatx_np(2)` (not tried on a Mac by us).  File systems may
know neither (EINVAL); :class:`Unsupported` says so before anything has happened.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import sys
from typing import Final

_DARWIN: Final = sys.platform == "darwin"
_NO_REPLACE: Final = 0x4 if _DARWIN else 0x1
_EXCHANGE: Final = 0x2
_UNKNOWN: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


class Unsupported(OSError):
    """Not on this system, or not on this file system."""


def rename_new(source: str, source_folder: int, target: str, target_folder: int) -> None:
    """Rename; FileExistsError if *target* is there.  Names only, each in its folder."""
    try:
        _rename(source, source_folder, target, target_folder, _NO_REPLACE)
    except Unsupported:
        # Two callers of ours cannot meet here: both hold the lock of the target.
        if _exists(target, target_folder):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        os.rename(source, target, src_dir_fd=source_folder, dst_dir_fd=target_folder)


def exchange(one: str, folder_of_one: int, other: str, folder_of_other: int) -> None:
    """Let two names change their files, in one act.

    Raises:
        Unsupported: neither was touched.
    """
    _rename(one, folder_of_one, other, folder_of_other, _EXCHANGE)


def _rename(source: str, source_folder: int, target: str, target_folder: int, how: int) -> None:
    function = _function()
    if function is None:
        raise Unsupported(errno.ENOSYS, os.strerror(errno.ENOSYS))
    names = os.fsencode(source), os.fsencode(target)
    if function(source_folder, names[0], target_folder, names[1], how) == 0:
        return
    number = ctypes.get_errno()
    error = Unsupported if number in _UNKNOWN else OSError
    raise error(number, os.strerror(number))


@functools.cache
def _function() -> ctypes._NamedFuncPointer | None:
    name = "renameatx_np" if _DARWIN else "renameat2"
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is not None:
        function.restype = ctypes.c_int
        function.argtypes = (
            ctypes.c_int,
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.c_char_p,
            ctypes.c_uint,
        )
    return function


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
