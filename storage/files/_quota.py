"""How much a project takes, counted along; counted anew when there is a doubt.

Commands that agents run write too, so the number drifts.  It is never believed for longer than
some minutes, and never when it is the reason to refuse.  A guard against accidents: only a quota
of the file system is a wall.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from ._descent import Usage, measure
from ._limits import Limits
from ._reasons import Reason, refusal
from ._root import ProjectRoot

BELIEVED_S: Final = 300.0
REFUSED_S: Final = 10.0
"""How long a refusal stands before it is worth another count, in seconds."""


class Quota:
    """Of one project; used by all threads that work on it."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._usage: Usage | None = None
        self._counted_at = 0.0
        self._lock = threading.Lock()

    @property
    def usage(self) -> Usage | None:
        """What is believed to be used; None when nobody has counted."""
        return self._usage

    def reserve(self, root: ProjectRoot, *, size: int, files: int) -> None:
        """Take *size* bytes in so many more files, until :meth:`discount` gives them back.

        Raises:
            Limited: there is not so much left.
        """
        with self._lock:
            limit = BELIEVED_S if self._fits(size, files) else REFUSED_S
            if self._usage is None or self._clock() - self._counted_at > limit:
                self._count(root)
            if not self._fits(size, files):
                raise self._exceeded()
            self._add(size, files)

    def discount(self, *, size: int, files: int) -> None:
        """Take off what is gone."""
        with self._lock:
            self._add(-size, -files)

    def doubt(self) -> None:
        """Count anew before the number is needed again."""
        with self._lock:
            self._usage = None

    def _count(self, root: ProjectRoot) -> None:
        self._usage = measure(root, self._limits)
        self._counted_at = self._clock()

    def _fits(self, size: int, files: int) -> bool:
        """Whatever makes a project smaller is allowed, however large it is."""
        usage = self._usage or Usage(0, 0)
        return (size <= 0 or usage.bytes + size <= self._limits.project_bytes) and (
            files <= 0 or usage.files + files <= self._limits.project_files
        )

    def _add(self, size: int, files: int) -> None:
        if self._usage is not None:
            self._usage = Usage(self._usage.bytes + size, self._usage.files + files)

    def _exceeded(self) -> Exception:
        return refusal(
            Reason.QUOTA_EXCEEDED,
            f"The project may take {self._limits.project_bytes} bytes in"
            f" {self._limits.project_files} files and folders: delete some",
            limit_bytes=self._limits.project_bytes,
            limit_files=self._limits.project_files,
        )
