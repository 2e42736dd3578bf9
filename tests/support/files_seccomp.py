"""A machine that does not let us use `openat2`, as containers are: with a real seccomp filter."""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path
from typing import Final

from mission_control.storage.files import _openat2, _walk, best_opener

_SET_SECCOMP, _FILTER, _OPENAT2 = 22, 2, 437
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def prepare() -> None:
    """Import what is imported late."""
    _walk.works()


def choose_without_openat2(_base: Path, _sandbox: str, *, answer: int) -> dict[str, object]:
    """Let `openat2` fail with the errno *answer*; returns what is chosen then."""
    code = b"".join(
        struct.pack("HBBI", *instruction)
        for instruction in (
            (_LOAD, 0, 0, 0),  # the number of the call
            (_JUMP_IF_EQUAL, 0, 1, _OPENAT2),
            (_RETURN, 0, 0, _ERRNO | answer),
            (_RETURN, 0, 0, _ALLOW),
        )
    )
    buffer = ctypes.create_string_buffer(code)
    program = _Program(4, ctypes.addressof(buffer))
    installed = _LIBC.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)
    chosen = best_opener()
    return {
        "installed": installed == 0,
        "openat2": _openat2.works(),
        "chosen": getattr(chosen, "name", "?"),
    }
