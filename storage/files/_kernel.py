"""What has to be true of an open file, and who sees to it on which system.

An :class:`Opener` belongs to one folder, the root, which it keeps no hold of.  What it opens was
reached from the root (or from a folder that it opened) by plain names only: through no link, no
`..`, and no mount point.  To check that and to open are one act; there is no moment in between in
which somebody could exchange a part of the way.

* Linux: `openat2` (:mod:`._openat2`), in one system call.
* Linux where that is missing or forbidden: name by name (:mod:`._walk`).
* macOS: `O_NOFOLLOW_ANY` (:mod:`._darwin`), in one system call.  Not tested on a Mac by us.
* Windows: nothing.  Python opens no folders there and has no `dir_fd`, so that a check would not
  be of what is then used; the service, which needs `flock`, does not run there either.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Protocol, TypeAlias

from ._names import Names
from ._reasons import Reason, refusal


class Opener(Protocol):
    """Opens what lies beneath one root; names must have come from :func:`._names.split`."""

    name: str
    """For the status page."""

    def open(self, names: Names, flags: int) -> int:
        """Open what *names* lead to from the root; a descriptor that children do not inherit.

        Raises:
            OSError: ELOOP for a link, EXDEV for a mount point, and what `open` raises.
        """
        ...

    def open_in(self, folder: int, name: str, flags: int) -> int:
        """Open *name* in *folder*, a descriptor that this opener gave; raises as :meth:`open`."""
        ...


MakeOpener: TypeAlias = Callable[[int], Opener]
"""Makes the opener for a root, given as a descriptor that stays the caller's."""

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""Not blocking, so that a pipe in a file's place is refused instead of waited for."""


@functools.cache
def best_opener() -> MakeOpener:
    """Return the best way to open of this machine, tried out once.

    Raises:
        Unavailable: there is none that keeps the promise.
    """
    if sys.platform == "linux":
        from . import _openat2, _walk  # noqa: PLC0415 - of this system only

        if _openat2.works():
            return _openat2.Openat2
        if _walk.works():
            return _walk.Walk
    elif sys.platform == "darwin":
        from ._darwin import NoFollowAny  # noqa: PLC0415 - of that system only

        return NoFollowAny
    raise refusal(
        Reason.BACKEND_UNAVAILABLE,
        "This system has no way to open files safely beneath a folder: use Linux with /proc.",
    )
