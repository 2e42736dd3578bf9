"""Tokens that let a running agent call the API as itself, and as nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import trio

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


@attrs.frozen(eq=False)
class _Held:
    identity: AgentIdentity
    over: trio.Event = attrs.field(factory=trio.Event, init=False)


class AgentTokens:
    """Tokens of the attempts that run now.

    They live in memory only: after a crash of ours no process of an earlier life can write.
    Looked up by digest, so a guess learns nothing from how long the answer takes.
    """

    def __init__(self) -> None:
        self._holders: dict[bytes, _Held] = {}

    def issue(self, identity: AgentIdentity) -> str:
        """Return a new token for *identity*."""
        token = new_token()
        self._holders[digest(token)] = _Held(identity)
        return token

    def revoke(self, token: str) -> None:
        """From now on nobody holds *token*, and who came in by it is shown out."""
        held = self._holders.pop(digest(token), None)
        if held is not None:
            held.over.set()

    def holder(self, token: str) -> AgentIdentity | None:
        """Return who holds *token*."""
        held = self._holders.get(digest(token))
        return None if held is None else held.identity

    def over(self, token: str) -> trio.Event | None:
        """Return what is set when *token* is revoked; None where nobody holds it."""
        held = self._holders.get(digest(token))
        return None if held is None else held.over

    def of_pulse(self, pulse_id: str) -> AgentIdentity | None:
        """Return the identity of a running attempt."""
        return next((i for i in self._identities() if i.pulse_id == pulse_id), None)

    def of_agent(self, agent_id: str) -> AgentIdentity | None:
        """Return the identity of the attempt that an agent makes now."""
        return next((i for i in self._identities() if i.agent_id == agent_id), None)

    def _identities(self) -> Iterator[AgentIdentity]:
        return (held.identity for held in self._holders.values())
