"""One sidecar a home: a lock that the kernel drops when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ._errors import Conflict


class HomeInUse(Conflict):
    """Another process runs on this home."""


@contextmanager
def hold_home(path: Path) -> Iterator[None]:
    """Hold the lock file *path* while the block runs.

    Raises:
        HomeInUse: somebody else holds it; the message names the process.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 100, 0).decode(errors="replace").strip()
            raise HomeInUse(
                f"{path.parent} is in use by {holder or 'another process'}:"
                " stop it, or choose another --home"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"mission-control, pid {os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
