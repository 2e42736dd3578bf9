"""Who calls, and what they may."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from enum import IntEnum
from pathlib import Path

import attrs

from ..actors import AgentIdentity, AgentTokens
from ..storage import Forbidden, Unauthenticated, replace_file


class Access(IntEnum):
    """What a caller may do; each level includes those below."""

    READ = 1
    WRITE = 2
    ADMIN = 3

    @property
    def gateway_scope(self) -> str:
        """The Gateway's name for it."""
        return f"operator.{self.name.lower()}"


@attrs.frozen
class Caller:
    """Whoever calls a method."""

    name: str
    """As it stands in the log: an agent's id, `operator`, ..."""
    access: Access
    identity: AgentIdentity | None = None
    """Set for agents: they reach their own project only."""

    def require(self, access: Access) -> None:
        """Refuse a caller that may do less than *access*."""
        if self.access < access:
            raise Forbidden(
                f"this needs {access.gateway_scope}; {self.name} has {self.access.gateway_scope}"
            )

    def require_project(self, project_id: str) -> None:
        """Refuse an agent of another project."""
        if self.identity is not None and self.identity.project_id != project_id:
            raise Forbidden(f"{self.name} works in {self.identity.project_id}, not in {project_id}")


OPERATOR = Caller("operator", Access.ADMIN)
LOCAL = Caller("local", Access.ADMIN)
"""The program that embeds us."""


def of_agent(identity: AgentIdentity) -> Caller:
    """Return the caller that an agent is."""
    return Caller(identity.agent_id, Access.WRITE, identity)


def of_gateway_scopes(name: str, scopes: list[str]) -> Caller:
    """Return the caller that an operator client of the Gateway is."""
    for access in sorted(Access, reverse=True):
        if access.gateway_scope in scopes:
            return Caller(name, access)
    raise Forbidden(f"{name} has none of the scopes operator.read, operator.write, operator.admin")


@attrs.frozen
class Doorkeeper:
    """Knows the operators' token, and the tokens of the agents that run now."""

    _operator_digest: bytes
    _agents: AgentTokens

    @classmethod
    def of(cls, operator_token: str, agents: AgentTokens) -> Doorkeeper:
        """Make one that lets *operator_token* in."""
        return cls(_digest(operator_token), agents)

    def is_operator(self, token: str) -> bool:
        """Whether *token* is the operators', in constant time."""
        return hmac.compare_digest(_digest(token), self._operator_digest)

    def admit(self, authorization: str | None) -> Caller:
        """Return who sends this `Authorization` header.

        Raises:
            Unauthenticated: nobody that we know.
        """
        scheme, _, token = (authorization or "").strip().partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated(
                "no token: send 'Authorization: Bearer <the content of mission-control.token>'"
            )
        if self.is_operator(token.strip()):
            return OPERATOR
        identity = self._agents.holder(token.strip())
        if identity is None:
            raise Unauthenticated(
                "wrong token: operators use the content of mission-control.token in the home;"
                " an agent's token ends with its pulse"
            )
        return of_agent(identity)


def _digest(token: str) -> bytes:
    # A guess need not be text that has a UTF-8.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def read_or_make_token(path: Path) -> str:
    """Return the token in *path* (mode 0600), making it on the first call."""
    known = path.read_text("ascii", "replace").strip() if path.exists() else ""
    if known:
        return known
    token = secrets.token_urlsafe(32)
    replace_file(path, token + "\n")
    return token
