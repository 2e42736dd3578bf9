"""How many files may be open at once: for us as many as we can get, for commands as before."""

from __future__ import annotations

import resource
from contextlib import suppress

import attrs

MOST = 65_536
"""Enough for us; there are kernels that let a process have a thousand million."""


@attrs.define
class OpenFiles:
    """The soft limit of this process, which has one for all of it."""

    _before: int | None = None

    def raise_limit(self) -> None:
        """Raise it to the hard limit, once.

        1024, as usual, is soon used up by connections and by files that are looked through.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
        if soft == resource.RLIM_INFINITY or soft >= most:
            return
        with suppress(OSError, ValueError):  # macOS has a limit of its own, which it does not tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            self._before = soft

    def lower(self) -> str:
        """Return a line for a shell that takes it back: `select` fails above number 1023."""
        return "" if self._before is None else f"ulimit -Sn {self._before}\n"


OPEN_FILES = OpenFiles()
