"""One sidecar a home: a lock that the kernel drops when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ._errors import Conflict, Unavailable


class HomeInUse(Conflict):
    """Another process runs on this home."""


@contextmanager
def hold_home(path: Path) -> Iterator[None]:
    """Hold the lock file *path* while the block runs.

    The file stays when its holder is gone, and says nothing then: what counts is the lock.

    Raises:
        HomeInUse: somebody else holds it; the message names the process.
        Unavailable: the file cannot be made, or not be locked.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"mission-control, pid {os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        holder = os.pread(descriptor, 100, 0).decode(errors="replace").strip()
        raise HomeInUse(
            f"{path.parent} is in use by {holder or 'another process'}:"
            " stop it, or choose another --home"
        ) from None
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"cannot lock the home by {path} ({error.strerror}): see that it may be written and that"
        " its disk is not full, or choose another --home"
    )
