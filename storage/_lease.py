"""Leases with fencing tokens: which attempt of an agent may write.

An attempt takes the lease of its agent when it begins, and with it a token that is one higher
than any before.  Each of its writes carries that token, and is run only if the lease has it
still: looked at in the write's own transaction, so an attempt that was ended writes nothing more,
however late its words arrive.

There is one writer, so nobody has to be waited for: an attempt ends in a command (of its actor,
of the deadman, of the reconciliation after a crash), and its lease ends in the same transaction.
That is why `expires_at` refuses nothing, and why a clock that jumps takes no lease away.  It says
when the time of the attempt is up, for people who look; an engine with several writers would let
others take a lease over from then on.
"""

from __future__ import annotations

import sqlite3

import attrs

from ._errors import Forbidden

_ACQUIRE = """
INSERT INTO leases(name, holder, token, expires_at) VALUES(?, ?, 1, ?)
ON CONFLICT(name) DO UPDATE
  SET holder = excluded.holder, token = token + 1, expires_at = excluded.expires_at
RETURNING token
"""
_RELEASE = "UPDATE leases SET holder = NULL, expires_at = NULL WHERE name = ? AND holder = ?"
_HOLDER = "SELECT holder FROM leases WHERE name = ? AND token = ?"


@attrs.frozen
class Fence:
    """What the writer of a command claims to hold: a lease, under this token."""

    name: str
    token: int


def agent_lease(agent_id: str) -> str:
    """Return the name of an agent's lease."""
    return f"agent:{agent_id}"


def acquire_lease(connection: sqlite3.Connection, name: str, holder: str, expires_at: int) -> int:
    """Take a lease, from whoever holds it; return its token, which nobody has had before."""
    # All rows are fetched: a statement that is not finished would keep the savepoint busy.
    ((token,),) = connection.execute(_ACQUIRE, [name, holder, expires_at]).fetchall()
    return int(token)


def release_lease(connection: sqlite3.Connection, name: str, holder: str) -> None:
    """Give a lease back, unless it has been taken over."""
    connection.execute(_RELEASE, [name, holder])


def holder_of(connection: sqlite3.Connection, fence: Fence) -> str:
    """Return the pulse whose lease has the token of *fence*.

    Raises:
        Forbidden: the lease was given back, or another attempt has taken it.
    """
    row = connection.execute(_HOLDER, [fence.name, fence.token]).fetchone()
    if row is None or row[0] is None:
        raise Forbidden(
            f"too late: the attempt that held the lease {fence.name} under number {fence.token}"
            " has ended, and what it may do ended with it",
            fence=fence.token,
        )
    return str(row[0])
