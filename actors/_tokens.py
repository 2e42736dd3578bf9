"""Tokens that let a running agent call the API as itself, and as nobody else."""

from __future__ import annotations

import attrs

from ..storage import Fence
from ._operator_token import digest, new_token


@attrs.frozen
class AgentIdentity:
    """Who holds a token: one attempt of one agent."""

    agent_id: str
    project_id: str
    pulse_id: str
    task_id: str | None
    fence: Fence | None = None
    """What it writes is held to; an identity without an attempt has none, and only reads."""


class AgentTokens:
    """Tokens of the attempts that run now.

    They live in memory only: after a crash of ours no process of an earlier life can write.
    Looked up by digest, so a guess learns nothing from how long the answer takes.
    """

    def __init__(self) -> None:
        self._holders: dict[bytes, AgentIdentity] = {}

    def issue(self, identity: AgentIdentity) -> str:
        """Return a new token for *identity*."""
        token = new_token()
        self._holders[digest(token)] = identity
        return token

    def revoke(self, token: str) -> None:
        """From now on nobody holds *token*."""
        self._holders.pop(digest(token), None)

    def holder(self, token: str) -> AgentIdentity | None:
        """Return who holds *token*."""
        return self._holders.get(digest(token))

    def of_pulse(self, pulse_id: str) -> AgentIdentity | None:
        """Return the identity of a running attempt."""
        return next((h for h in self._holders.values() if h.pulse_id == pulse_id), None)

    def of_agent(self, agent_id: str) -> AgentIdentity | None:
        """Return the identity of the attempt that an agent makes now."""
        return next((h for h in self._holders.values() if h.agent_id == agent_id), None)
