"""The Unix socket for programs of our own user: no browser and no other user reaches it."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..storage import Conflict, Unavailable

MAX_NAME_BYTES = 103
"""What fits in sun_path on macOS, with the 0 after it; Linux has room for four more."""


class SocketInUse(Conflict):
    """Somebody listens there."""


@contextmanager
def open_local(path: Path) -> Iterator[socket.socket]:
    """Listen on the Unix socket *path* while the block runs; its folder is made for us alone.

    A socket that nobody listens on any more is replaced.

    Raises:
        SocketInUse: somebody listens there, or something else has that name.
        Unavailable: it cannot be made there.
    """
    try:
        _private(path.parent)
        with short_name(path) as name:
            _clear(path, name)
            listening = _listen(name)
            made = path.lstat()
    except OSError as error:
        raise Unavailable(
            f"cannot make the socket {path} ({error.strerror}): see that its folder is yours, or"
            " do without by listen.socket = false"
        ) from error
    with listening:
        try:
            yield listening
        finally:
            _remove(path, made)


@contextmanager
def short_name(path: Path) -> Iterator[str]:
    """Yield a name of *path* that a socket address has room for.

    Raises:
        OSError: there is none; Linux always has one.
    """
    if len(os.fsencode(path)) <= MAX_NAME_BYTES:
        yield str(path)
        return
    if sys.platform != "linux":
        raise OSError(errno.ENAMETOOLONG, f"its name is longer than {MAX_NAME_BYTES} bytes")
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise SocketInUse(f"{folder} is not a folder of yours: remove it")
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)


def _clear(path: Path, name: str) -> None:
    """Make room for a socket, if all that is there is one of the dead."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise SocketInUse(f"{path} is no socket: remove it")
        if _is_alive(name):
            raise SocketInUse(f"another program listens on {path}: stop it")
        path.unlink()


def _is_alive(name: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0)  # a full queue is a sign of life too
        try:
            probe.connect(name)
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno not in (errno.ECONNREFUSED, errno.ENOENT):
                raise
            return False
        return True


def _listen(name: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(name)
        os.chmod(name, 0o600)  # noqa: PTH101 - a Path would not say more
        listening.listen(128)
        listening.settimeout(0)
    except BaseException:  # raised again: nobody else would close it
        listening.close()
        raise
    return listening


def _remove(path: Path, made: os.stat_result) -> None:
    """Remove our socket, and not that of somebody who has put another there."""
    with suppress(OSError):
        found = path.lstat()
        if (found.st_dev, found.st_ino) == (made.st_dev, made.st_ino):
            path.unlink()
