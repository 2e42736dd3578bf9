"""Principals: who has a token of their own, and what it lets them do.

Kept in a file beside the database and not in it: a backup carries no digest of a token, and a
restore brings none back that was revoked since.

What is kept is the SHA-256 of 32 random bytes.  A slow derivation guards a secret that can be
guessed; this one cannot be, and every connection would pay for it.
"""

from __future__ import annotations

import hmac
import re
from pathlib import Path

import attrs
import trio

from ..storage import Conflict, Invalid, Limited, NotFound
from ._access import Access
from ._operator_token import OperatorToken, Secret, digest, new_token
from ._principals_file import Principal, read_principals, write_principals

OPERATOR_NAME = "operator"
MAX_PRINCIPALS = 100
"""A token that is shown is compared with those of all."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_RESERVED = frozenset({OPERATOR_NAME, "gateway", "local", "mission-control"})
"""Names that are signed with in the log by others."""


@attrs.frozen(eq=False)
class Credential:
    """Who showed a token that is good."""

    name: str
    access: Access
    over: trio.Event
    """Set when the token is revoked or replaced."""


class Principals:
    """The one owner of the file of principals, and of the operators' token."""

    def __init__(self, path: Path, operator: OperatorToken) -> None:
        self._path = path
        self._operator = operator
        self._known = {each.name: each for each in read_principals(path)}
        self._secrets = {name: Secret(each.digest) for name, each in self._known.items()}
        self._writing = trio.Lock()

    def holder(self, token: str) -> Credential | None:
        """Return who holds *token*.  It takes as long for a good one as for a bad one."""
        shown, operator = digest(token), self._operator.secret
        found = None
        if hmac.compare_digest(shown, operator.digest):
            found = Credential(OPERATOR_NAME, Access.ADMIN, operator.over)
        for name, secret in self._secrets.items():
            if hmac.compare_digest(shown, secret.digest):
                found = Credential(name, self._known[name].access, secret.over)
        return found

    def all(self) -> list[Principal]:
        """Return those that have a token besides the operators', by name."""
        return [self._known[name] for name in sorted(self._known)]

    async def create(self, name: str, access: Access, *, at: int, by: str) -> str:
        """Return a new token for a new principal.  It is shown this once.

        Raises:
            Invalid: that is no name.
            Conflict: there is such a principal.
            Limited: there are too many.
        """
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise Invalid(
                "name must be 1 to 63 of a-z, 0-9, - and _, begin with one of the first two, and be"
                f" none of {', '.join(sorted(_RESERVED))}",
                field="name",
            )
        async with self._writing:
            self._check_new(name)
            return await self._issue(name, access, at, by)

    async def rotate(self, name: str, *, at: int, by: str) -> str | None:
        """Replace a principal's token, and return the new one; the old one ends now.

        The operators' goes into its file, and None is returned.

        Raises:
            NotFound: there is no such principal.
        """
        async with self._writing:
            if name != OPERATOR_NAME:
                return await self._issue(name, self._find(name).access, at, by)
            await trio.to_thread.run_sync(self._operator.replace)
            self._operator.follow()
            return None

    async def revoke(self, name: str) -> None:
        """Take a principal's token away: whoever came in by it is shown out.

        Raises:
            Invalid: it is the operators', which can only be replaced.
            NotFound: there is no such principal.
        """
        if name == OPERATOR_NAME:
            raise Invalid("the operators' token can only be replaced: rotate it", field="name")
        async with self._writing:
            self._find(name)
            await self._write({k: v for k, v in self._known.items() if k != name})
            self._secrets.pop(name).over.set()

    async def _issue(self, name: str, access: Access, at: int, by: str) -> str:
        token = new_token()
        secret = Secret(digest(token))
        await self._write(self._known | {name: Principal(name, access, secret.digest, at, by)})
        former, self._secrets[name] = self._secrets.get(name), secret
        if former is not None:
            former.over.set()
        return token

    async def _write(self, known: dict[str, Principal]) -> None:
        await trio.to_thread.run_sync(write_principals, self._path, known.values())
        self._known = known

    def _check_new(self, name: str) -> None:
        if name in self._known:
            raise Conflict(
                f"{name!r} has a token: rotate it, or revoke it first, or choose another name",
                field="name",
            )
        if len(self._known) >= MAX_PRINCIPALS:
            raise Limited(f"{MAX_PRINCIPALS} principals have tokens: revoke one first")

    def _find(self, name: str) -> Principal:
        if name not in self._known:
            raise NotFound(f"nobody called {name!r} has a token", field="name")
        return self._known[name]
