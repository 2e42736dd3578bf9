"""macOS: `O_NOFOLLOW_ANY` refuses a link anywhere on the way, in one system call.

It does not refuse `..`, which the policy does before.  Mount points are seen by their device
number: without privileges nobody mounts one folder over another there.  From documentation; we
have no Mac to try it on.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from ._names import Names

_ALWAYS: Final = getattr(os, "O_NOFOLLOW_ANY", 0x20000000) | os.O_CLOEXEC


class NoFollowAny:
    """Opens beneath *root* in one system call, and looks at the device."""

    name = "O_NOFOLLOW_ANY"

    __slots__ = ("_device", "_root")

    def __init__(self, root: int) -> None:
        self._root = root
        self._device = os.fstat(root).st_dev

    def open(self, names: Names, flags: int) -> int:
        return self.open_in(self._root, "/".join(names) or ".", flags)

    def open_in(self, folder: int, name: str, flags: int) -> int:
        # Together with O_NOFOLLOW it would be EINVAL.
        descriptor = os.open(name, flags & ~os.O_NOFOLLOW | _ALWAYS, dir_fd=folder)
        if os.fstat(descriptor).st_dev != self._device:
            os.close(descriptor)
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return descriptor
