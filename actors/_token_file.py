"""The file of the operators' token: what it must be to be relied on."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MAX_TOKEN_BYTES = 512
MIN_TOKEN_CHARS = 32
"""A shorter one might be guessed."""


class UnfitToken(Exception):
    """The file is not to be relied on; says why."""


def read_token(path: Path) -> str:
    """Return the token in *path*; empty where there is none.

    Raises:
        UnfitToken: others could know it or have put it there, or it is too short.
    """
    try:
        # Not to be kept waiting by a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    except OSError as error:
        why = "is a link" if error.errno == errno.ELOOP else f"cannot be read ({error.strerror})"
        raise UnfitToken(why) from error
    try:
        _check(os.fstat(descriptor))
        token = os.read(descriptor, MAX_TOKEN_BYTES).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)
    if 0 < len(token) < MIN_TOKEN_CHARS:
        raise UnfitToken(f"holds {len(token)} characters, and a token has {MIN_TOKEN_CHARS}")
    return token


def _check(found: os.stat_result) -> None:
    user = os.geteuid()
    if not stat.S_ISREG(found.st_mode):
        raise UnfitToken("is no regular file")
    if found.st_uid != user and 0 not in (found.st_uid, user):
        raise UnfitToken(f"belongs to user {found.st_uid}")
    if found.st_nlink > 1:
        raise UnfitToken(f"has {found.st_nlink} names (hard links)")
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UnfitToken(f"is open to others (mode {stat.S_IMODE(found.st_mode):04o})")
