"""Lets callers in by their tokens, and slows down who guesses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager

import attrs
import trio

from ..actors import AgentTokens, Principals
from ..storage import Limited, MissionError, Unauthenticated
from ._callers import Caller, of_agent
from ._limits import BURST_S, Allowances, Limits, Seats
from ._peer import Peer

_MISSING = "no token: send 'Authorization: Bearer <the content of mission-control.token>'"
_WRONG = (
    "wrong token: operators use the content of mission-control.token in the home; an agent's token"
    " ends with its pulse"
)


@attrs.frozen
class Admission:
    """A caller that was let in."""

    caller: Caller
    over: trio.Event | None = None
    """Set when the token is revoked; an agent's is looked up at each call instead."""


class Doorkeeper:
    """Knows all tokens, and how often somebody was wrong."""

    def __init__(self, principals: Principals, agents: AgentTokens, limits: Limits) -> None:
        self._principals = principals
        self._agents = agents
        self._failures = Allowances(
            limits.wrong_tokens_per_min / 60, burst=limits.wrong_tokens_per_min
        )
        self._seats = Seats(limits)
        self._calls = Allowances(limits.calls_per_s, limits.calls_per_s * BURST_S)
        self._agent_calls = Allowances(limits.agent_calls_per_s, limits.agent_calls_per_s * BURST_S)

    def admit(self, authorization: Sequence[str], peer: Peer) -> Admission:
        """Return who sends these `Authorization` headers.

        Raises:
            Unauthenticated: nobody that we know.
            Limited: too many wrong tokens came from there.
        """
        value = authorization[0] if len(authorization) == 1 else ""
        scheme, _, token = value.strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated(_MISSING)
        return self.recognise(token.strip(), peer)

    def recognise(self, token: str, peer: Peer) -> Admission:
        """Return who holds *token*.

        Once too many were wrong, tokens from that place are not looked at for a while: but those of
        our own user are, or a stray program could keep its owner out.

        Raises:
            Unauthenticated: nobody.
            Limited: too many wrong tokens came from there.
        """
        failures, now = self._failures.of(peer.place), trio.current_time()
        if not peer.is_user and (wait := failures.wait(now)):
            raise _too_many(wait)
        admission = self._holder(token)
        if admission is None:
            raise self._wrong(failures.take(now))
        return admission

    def counted(self, caller: Caller) -> Caller:
        """Return *caller* with the allowance of calls that its name has."""
        known = self._calls if caller.identity is None else self._agent_calls
        return attrs.evolve(caller, allowance=known.of(caller.name))

    def seat(self, caller: Caller) -> AbstractContextManager[None]:
        """Return what holds a connection for *caller*; entering it raises Limited where all are."""
        return self._seats.taken(caller.name)

    def _holder(self, token: str) -> Admission | None:
        credential = self._principals.holder(token)
        if credential is not None:
            caller = Caller(credential.name, credential.access)
            return Admission(self.counted(caller), credential.over)
        identity = self._agents.holder(token)
        return Admission(self.counted(of_agent(identity))) if identity is not None else None

    @staticmethod
    def _wrong(wait: float) -> MissionError:
        return _too_many(wait) if wait else Unauthenticated(_WRONG)


def _too_many(wait: float) -> Limited:
    return Limited(
        "too many wrong tokens came from this host: wait, or connect by the Unix socket",
        retry_after_ms=math.ceil(wait * 1000),
    )
