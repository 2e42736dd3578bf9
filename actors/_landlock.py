"""Landlock of Linux 5.13 and later, through ctypes: what a thread's children may do with files.

A domain holds for the thread that takes it on, for good, and for every process that this thread
starts; other threads go on as they were.  So whoever wants to confine a child takes the domain on
in a thread that starts the child and ends: nothing runs between fork and exec, and no helper
program has to be started.

The constants are those of `linux/landlock.h`; the syscall numbers are the same everywhere but on
Alpha.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntFlag
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_GET_VERSION = 1
_RULE_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP = 38, 24
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2


class Right(IntFlag):
    """What may be allowed beneath a path; what no rule allows is refused."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    """To link or rename from one folder to another."""
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


_OF_FILES = Right.EXECUTE | Right.WRITE_FILE | Right.READ_FILE | Right.TRUNCATE | Right.IOCTL_DEV
"""What makes sense for a single file; the kernel refuses a rule for one that says more."""
_SINCE = {Right.REFER: 2, Right.TRUNCATE: 3, Right.IOCTL_DEV: 5}
_SINCE_NETWORK, _SINCE_SCOPES = 4, 6

_WAYS_ROUND = (16, 17, 19, 21, 38, 39)
"""SYS_MODULE, SYS_RAWIO, SYS_PTRACE, SYS_ADMIN, PERFMON and BPF: with one of them root reads the
memory and the environment of any process, this one's too, whatever its domain."""


@functools.cache
def abi() -> int:
    """Return the version of Landlock that the running kernel has; 0 where it has none."""
    if sys.platform != "linux" or platform.machine() == "alpha":
        return 0
    try:
        return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_GET_VERSION))
    except OSError:  # ENOSYS, EOPNOTSUPP where it is switched off, EPERM of a seccomp filter
        return 0


def handled(version: int) -> Right:
    """Return the rights that a kernel with *version* can refuse."""
    return Right(sum(right for right in Right if _SINCE.get(right, 1) <= version))


def not_held(version: int) -> tuple[str, ...]:
    """Say what a kernel with *version* lets children do all the same."""
    gaps = {
        3: "cut short any file that the user may write",
        5: "send device commands (ioctl) to devices that the user may open",
        6: "send signals to the user's other processes",
    }
    return tuple(gap for since, gap in gaps.items() if version < since)


class Domain:
    """A set of rules in the making; use :func:`new_domain`."""

    def __init__(self, descriptor: int, version: int) -> None:
        self._descriptor = descriptor
        self._handled = handled(version)

    def allow(self, path: Path, rights: Right, *, follow: bool = True) -> bool:
        """Allow *rights* on *path* and all beneath it; return whether there is such a thing.

        The rule holds for what lies there now, not for the name.

        Args:
            path: a folder or a file.
            rights: those that this kernel does not know are left out.
            follow: whether *path* may be a link; one that may not be and is counts as missing, as
                does a file that has another name besides.

        Raises:
            OSError: the kernel refused the rule.
        """
        flags = os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
        try:
            target = os.open(path, flags)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return False
        try:
            found = os.fstat(target)
            is_folder = stat.S_ISDIR(found.st_mode)
            elsewhere = stat.S_ISLNK(found.st_mode) or (not is_folder and found.st_nlink > 1)
            if elsewhere and not follow:
                return False
            self._allow(target, rights if is_folder else rights & _OF_FILES)
        finally:
            os.close(target)
        return True

    def _allow(self, target: int, rights: Right) -> None:
        rights &= self._handled
        if rights:  # the kernel refuses an empty rule
            rule = struct.pack("=Qi", rights, target)
            _call(_ADD_RULE, self._descriptor, _RULE_PATH_BENEATH, rule, ctypes.c_uint32(0))

    def take_on(self) -> None:
        """Confine the calling thread, for good, and whatever it starts.

        Raises:
            OSError: the kernel refused; the thread may then have lost only the right to gain
                privileges.
        """
        for capability in _WAYS_ROUND:
            _libc().prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # who is not root has none of them
        if _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS was refused")
        _call(_RESTRICT_SELF, self._descriptor, ctypes.c_uint32(0))


@contextmanager
def new_domain(version: int) -> Iterator[Domain]:
    """Give a domain that allows nothing, for a kernel with *version* of Landlock, 1 or more.

    From version 6 on, what is in it can signal, and reach by abstract sockets, only what is in it.

    Raises:
        OSError: the kernel refused.
    """
    words = [int(handled(version))]
    if version >= _SINCE_NETWORK:
        words.append(0)  # the network is not our business
    if version >= _SINCE_SCOPES:
        words.append(_SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS)
    attributes = struct.pack(f"={len(words)}Q", *words)
    size = ctypes.c_size_t(len(attributes))
    descriptor = _call(_CREATE_RULESET, attributes, size, ctypes.c_uint32(0))
    try:
        yield Domain(descriptor, version)
    finally:
        os.close(descriptor)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    syscall = _libc().syscall
    syscall.restype = ctypes.c_long
    result = int(syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        hint = " (sixteen layers of Landlock at most)" if code == errno.E2BIG else ""
        raise OSError(code, os.strerror(code) + hint)
    return result
