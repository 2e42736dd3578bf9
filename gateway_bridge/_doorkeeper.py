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
    """Set when the token is revoked."""


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

        Only wrong ones are counted: a good one cannot be guessed, and a stray program would keep
        all others of its host out.

        Raises:
            Unauthenticated: nobody.
            Limited: too many wrong tokens came from there.
        """
        admission = self._holder(token)
        if admission is None:
            raise self._wrong(self._failures.of(peer.place).take(trio.current_time()))
        return admission

    def counted(self, caller: Caller) -> Caller:
        """Return *caller* with the allowance of calls that its name has."""
        known = self._calls if caller.identity is None else self._agent_calls
        return attrs.evolve(caller, allowance=known.of(caller.name))

    def seat(self, caller: Caller) -> AbstractContextManager[None]:
        """Return what holds a connection for *caller*; entering it raises Limited where all are."""
        return self._seats.taken(caller.name, is_agent=caller.identity is not None)

    def _holder(self, token: str) -> Admission | None:
        credential = self._principals.holder(token)
        if credential is not None:
            caller = Caller(credential.name, credential.access)
            return Admission(self.counted(caller), credential.over)
        identity = self._agents.holder(token)
        if identity is None:
            return None
        return Admission(self.counted(of_agent(identity)), self._agents.over(token))

    @staticmethod
    def _wrong(wait: float) -> MissionError:
        return _too_many(wait) if wait else Unauthenticated(_WRONG)


def _too_many(wait: float) -> Limited:
    return Limited(
        "too many wrong tokens came from this host: wait, and use one that has not ended",
        retry_after_ms=math.ceil(wait * 1000),
    )
