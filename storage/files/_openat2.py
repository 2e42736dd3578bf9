"""`openat2(2)` of Linux 5.6 through ctypes: Python has no function for it.

`O_CLOEXEC` is always set (a descriptor that leaked from this very call was CVE-2024-21626).
`O_NOFOLLOW` never is: `RESOLVE_NO_SYMLINKS` includes it, and together with `O_DIRECTORY` it would
turn the answer for a link from ELOOP into ENOTDIR.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import sys
from typing import Final

from ._names import Names

_NUMBER: Final = ctypes.c_long(437)
"""The same on every architecture but Alpha, which adds 110."""
_NO_XDEV, _NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x01, 0x02, 0x04, 0x08
_RESOLVE: Final = _NO_XDEV | _NO_MAGICLINKS | _NO_SYMLINKS | _BENEATH
_ENCODING: Final = sys.getfilesystemencoding()
_ERRORS: Final = sys.getfilesystemencodeerrors()
"""As `os.fsencode`, which takes longer."""
_ATTEMPTS: Final = 64
"""A rename somewhere on the system can make the kernel say EAGAIN, hence often."""


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


_SIZE: Final = ctypes.c_size_t(ctypes.sizeof(_OpenHow))


class Openat2:
    """Opens beneath *root* in one system call."""

    name = "openat2"

    __slots__ = ("_root",)

    def __init__(self, root: int) -> None:
        self._root = root

    def open(self, names: Names, flags: int) -> int:
        return _openat2(self._root, "/".join(names) or ".", flags)

    def open_in(self, folder: int, name: str, flags: int) -> int:
        return _openat2(folder, name, flags)


def works() -> bool:
    """Whether the call is there, allowed, and keeps what it promises.

    Seccomp profiles answer EPERM or ENOSYS at their choice; asked once, here, so that an EPERM of
    later never means "try another way".
    """
    if platform.machine() == "alpha" or sys.platform != "linux":
        return False
    folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(_openat2(folder, ".", os.O_RDONLY | os.O_DIRECTORY))
        os.close(_openat2(folder, "..", os.O_RDONLY | os.O_DIRECTORY))
    except OSError as refused:
        return refused.errno == errno.EXDEV
    finally:
        os.close(folder)
    return False  # the way up was open


def _openat2(folder: int, path: str, flags: int) -> int:
    how, encoded, call = _how(flags), path.encode(_ENCODING, _ERRORS), _syscall()
    descriptor: int = call(_NUMBER, folder, encoded, how, _SIZE)
    attempts = 1
    while descriptor < 0:
        number = ctypes.get_errno()
        if number not in {errno.EAGAIN, errno.EINTR} or attempts == _ATTEMPTS:
            raise OSError(number, os.strerror(number))
        descriptor = call(_NUMBER, folder, encoded, how, _SIZE)
        attempts += 1
    return descriptor


@functools.cache
def _how(flags: int) -> ctypes.c_void_p:
    how = _OpenHow((flags | os.O_CLOEXEC) & ~os.O_NOFOLLOW, 0, _RESOLVE)
    _KEPT.append(how)
    return ctypes.c_void_p(ctypes.addressof(how))


_KEPT: Final[list[_OpenHow]] = []
"""What the addresses above point to; the kernel only reads it, so that threads may share it."""


@functools.cache
def _syscall() -> ctypes._NamedFuncPointer:
    # No argtypes: what is passed has its type already, and to convert it takes half a microsecond.
    function = ctypes.CDLL(None, use_errno=True).syscall
    function.restype = ctypes.c_long
    return function
