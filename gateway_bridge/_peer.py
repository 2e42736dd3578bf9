"""Where a connection comes from, as far as the kernel says so."""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import Protocol

import attrs

_UCRED = struct.Struct("3i")
"""Linux, unix(7): pid, uid, gid."""
_XUCRED = struct.Struct("@IIh16I")
"""macOS, <sys/ucred.h>: version, uid, number of groups, groups."""
_SOL_LOCAL, _LOCAL_PEERCRED = 0, 1


@attrs.frozen
class Peer:
    """The other end of a connection."""

    place: str
    """For whom wrong tokens are counted together."""
    is_user: bool
    """Whether the kernel vouches that it is a program of our own user."""


LOOPBACK = Peer("127.0.0.1", is_user=False)
"""Any program of this host, whoever runs it; ::1 is no other place."""
OWN_USER = Peer("unix", is_user=True)


class Asked(Protocol):
    """What is asked of a socket, trio's or the standard library's."""

    def getsockopt(self, level: int, name: int, size: int, /) -> bytes:
        """As :meth:`socket.socket.getsockopt`."""
        ...


def uid_of_peer(connected: Asked) -> int:
    """Return the user that opened the other end of a Unix socket."""
    if sys.platform == "darwin":
        raw = connected.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size)
        return int(_XUCRED.unpack_from(raw)[1])
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(raw)[1])


def may_ask(uid: int) -> bool:
    """Whether a program of *uid* may connect to us: our own user's, or root's."""
    return uid in (os.geteuid(), 0)


def may_be_told(uid: int) -> bool:
    """Whether a server of *uid* may be shown a token of ours: root is shown what is another's."""
    return may_ask(uid) or os.geteuid() == 0
