"""Who calls, and what they may."""

from __future__ import annotations

import math

import attrs
import trio

from ..actors import OPERATOR_NAME, Access, AgentIdentity
from ..storage import Forbidden, Limited
from ._limits import Allowance

__all__ = ["LOCAL", "OPERATOR", "Access", "Caller", "of_agent", "of_gateway_scopes"]


@attrs.frozen
class Caller:
    """Whoever calls a method."""

    name: str
    """As it stands in the log: an agent's id, `operator`, ..."""
    access: Access
    identity: AgentIdentity | None = None
    """Set for agents: they reach their own project only."""
    allowance: Allowance | None = attrs.field(default=None, eq=False, repr=False)
    """Of calls; the embedding program needs none."""

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

    def spend(self) -> None:
        """Count one call.

        Raises:
            Limited: the caller makes too many.
        """
        if self.allowance is None:
            return
        wait = self.allowance.take(trio.current_time())
        if wait:
            raise Limited(
                f"{self.name} makes more than {self.allowance.per_s:g} calls a second: slow down",
                retry_after_ms=math.ceil(wait * 1000),
            )


OPERATOR = Caller(OPERATOR_NAME, Access.ADMIN)
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
