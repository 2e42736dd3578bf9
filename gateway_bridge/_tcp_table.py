"""The kernel's table of TCP sockets: whose program is at the other end of a connection.

Source: proc_pid_net(5), `/proc/net/tcp`.  Addresses stand there as words of the host's byte order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TypeAlias

import attrs

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENS = "0A"

Address: TypeAlias = IPv4Address | IPv6Address


@attrs.frozen
class End:
    """One end of a connection."""

    address: Address
    port: int

    @classmethod
    def of(cls, name: tuple[str, int] | tuple[str, int, int, int]) -> End:
        """Return the end that `getsockname` or `getpeername` tells."""
        return cls(_plain(ip_address(name[0].partition("%")[0])), name[1])


@attrs.frozen
class Entry:
    """One socket of this host."""

    local: End
    remote: End
    listens: bool
    uid: int


def read_table() -> list[Entry]:
    """Return the sockets of this host; none where the kernel has no such table, as macOS."""
    found: list[Entry] = []
    for path in TABLES:
        with suppress(OSError):
            found += parse(path.read_text("ascii"))
    return found


def parse(text: str) -> Iterator[Entry]:
    """Yield what a table says, its first line apart."""
    for line in text.splitlines()[1:]:
        _, local, remote, state, *rest = line.split()
        yield Entry(_end(local), _end(remote), state == _LISTENS, int(rest[3]))


def servers(table: list[Entry], ours: End, theirs: End) -> set[int]:
    """Return the users of the sockets that may be at the other end, *theirs*; empty where unknown.

    Who took the connection counts, and who listens: the one may have ceased to listen, and a
    connection that waits to be taken stands there as root's.
    """
    took = {each.uid for each in table if (each.local, each.remote) == (theirs, ours)}
    listening = [each for each in table if each.listens and each.local.port == theirs.port]
    # As the kernel chooses: an address before all of them.
    exact = {each.uid for each in listening if each.local.address == theirs.address}
    return took | (exact or {each.uid for each in listening if each.local.address.is_unspecified})


def _end(text: str) -> End:
    words, _, port = text.partition(":")
    raw = bytes.fromhex(words)
    count = len(raw) // 4
    packed = struct.pack(f"={count}I", *struct.unpack(f">{count}I", raw))
    return End(_plain(ip_address(packed)), int(port, 16))


def _plain(address: Address) -> Address:
    """Return an IPv4 address as such, where it stands in a table of IPv6."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
