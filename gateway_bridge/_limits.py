"""What one caller may take, and how much there is for all: the numbers, and the counting."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs

from ..storage import Limited

MAX_REMEMBERED = 10_000
"""Callers whose allowance is remembered; one who was away for so long has all of it back."""
BURST_S = 2.0
"""So many seconds' worth of calls may come at once."""
SEAT_RETRY_MS = 1000


def _positive(_: Any, field: attrs.Attribute[Any], value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{field.name!r} must be more than 0, not {value}")


def _most(default: int) -> int:
    return attrs.field(default=default, validator=attrs.validators.ge(1))


def _rate(default: float) -> float:
    return attrs.field(default=default, validator=_positive)


@attrs.frozen
class Limits:
    """What the listener lets happen."""

    connections: int = _most(500)
    """Of callers that were let in, in all."""
    connections_each: int = _most(250)
    """Of one operator or principal."""
    agent_connections_each: int = _most(16)
    """Of one agent; all agents together have at most half of all connections."""
    strangers: int = _most(64)
    """Connections on which nobody was let in yet; with one more the oldest is cut."""
    header_bytes: int = _most(16 * 1024)
    """Of one request's head, in all."""
    headers: int = _most(100)
    """Of one request."""
    head_within_s: float = _rate(5.0)
    """How long a request may take to say what it wants, or a connection to make one."""
    body_within_s: float = _rate(30.0)
    """How long the body of a request may take."""
    message_bytes: int = _most(4 * 2**20)
    """Of a body, or of a message on a WebSocket."""
    calls_per_s: float = _rate(5000.0)
    """Of one operator or principal."""
    agent_calls_per_s: float = _rate(200.0)
    """Of one agent."""
    wrong_tokens_per_min: float = _rate(10.0)
    """From one place, as which this host counts."""


@attrs.define
class Allowance:
    """A bucket that refills evenly.  Times are in seconds, of any one clock."""

    per_s: float
    burst: float
    _left: float = attrs.field(init=False)
    _at: float = attrs.field(default=-math.inf, init=False)

    def __attrs_post_init__(self) -> None:
        self._left = self.burst

    def wait(self, now: float) -> float:
        """Return how many seconds there is none left; 0 where there is."""
        self._left = min(self.burst, self._left + (now - self._at) * self.per_s)
        self._at = now
        return max(0.0, (1.0 - self._left) / self.per_s)

    def take(self, now: float) -> float:
        """Take one and return 0; where there is none, take nothing and return :meth:`wait`."""
        wait = self.wait(now)
        if not wait:
            self._left -= 1.0
        return wait


class Allowances:
    """An allowance for each name, made when it is first asked for."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = max(1.0, burst)
        self._by_name: OrderedDict[str, Allowance] = OrderedDict()

    def of(self, name: str) -> Allowance:
        """Return that of *name*."""
        allowance = self._by_name.get(name)
        if allowance is None:
            allowance = self._by_name[name] = Allowance(self._per_s, self._burst)
            if len(self._by_name) > MAX_REMEMBERED:
                self._by_name.popitem(last=False)
        else:
            self._by_name.move_to_end(name)
        return allowance


class Seats:
    """Who holds how many connections."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held: dict[tuple[str, bool], int] = {}

    @contextmanager
    def taken(self, name: str, *, is_agent: bool = False) -> Iterator[None]:
        """Hold a connection for *name* while the block runs.

        Raises:
            Limited: *name* has too many, or all together have.
        """
        who = name, is_agent
        held = self._held.get(who, 0)
        self._check_own(name, held, is_agent=is_agent)
        self._check_all(is_agent=is_agent)
        self._held[who] = held + 1
        try:
            yield
        finally:
            self._held[who] -= 1
            if not self._held[who]:
                del self._held[who]

    def _check_own(self, name: str, held: int, *, is_agent: bool) -> None:
        limit = "agent_connections_each" if is_agent else "connections_each"
        if held >= getattr(self._limits, limit):
            raise Limited(
                f"{name} has {held} connections: close some, or raise limits.{limit}",
                retry_after_ms=SEAT_RETRY_MS,
            )

    def _check_all(self, *, is_agent: bool) -> None:
        all_, for_agents = self._limits.connections, max(1, self._limits.connections // 2)
        of_agents = sum(held for (_, agents), held in self._held.items() if agents)
        if sum(self._held.values()) >= all_ or (is_agent and of_agents >= for_agents):
            raise Limited(
                f"all {for_agents if is_agent else all_} connections are taken: come back later, or"
                " raise limits.connections",
                retry_after_ms=SEAT_RETRY_MS,
            )
