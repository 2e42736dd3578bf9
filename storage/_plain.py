"""Reading files that somebody else may have put there: links, pipes and giants do no harm."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read_plain(path: Path, limit: int) -> bytes | None:
    """Return the last *limit* bytes of the plain file *path*; None where it is none.

    Links are not followed, and nothing is waited for, so a pipe cannot hold us up.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        file.seek(max(0, found.st_size - limit))
        return file.read(limit)
