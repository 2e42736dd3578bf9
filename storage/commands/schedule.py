"""When an agent pulses, and how long and how often it may try."""

from __future__ import annotations

from typing import ClassVar

import attrs

from .._errors import Invalid
from .._records import Agent
from .._registry import register
from .._table import AGENTS
from .._transaction import Command, Transaction
from .help import AGENT_UPDATED

SHORTEST_S, LONGEST_S = 0.01, 1e9


@register
@attrs.frozen
class SchedulePulses(Command[Agent]):
    """Change when an agent pulses, and how long and how often it may try; None keeps what is."""

    agent_id: str
    interval_s: float | None = None
    timeout_s: float | None = None
    max_retries: int | None = None

    RESULT: ClassVar[type] = Agent

    def apply(self, tx: Transaction) -> Agent:
        """Refuses what no agent can have.  An attempt that runs keeps the time it was given."""
        agent = tx.get(AGENTS, self.agent_id)
        fields = ("interval_s", "timeout_s", "max_retries")
        given = {name: getattr(self, name) for name in fields if getattr(self, name) is not None}
        changed = attrs.evolve(agent, **given)
        check_schedule(changed.interval_s, changed.timeout_s, changed.max_retries)
        return agent if changed == agent else tx.put(AGENTS, agent, AGENT_UPDATED, **given)


def check_schedule(interval_s: float, timeout_s: float, max_retries: int) -> None:
    """Refuse values that no agent can have.

    Raises:
        Invalid: names the field.
    """
    for field, value in (("interval_s", interval_s), ("timeout_s", timeout_s)):
        if not SHORTEST_S <= value <= LONGEST_S:
            message = f"{field} must be {SHORTEST_S} to {LONGEST_S:g} seconds, not {value}"
            raise Invalid(message, field=field)
    if max_retries < 0:
        raise Invalid(f"max_retries must not be negative, not {max_retries}", field="max_retries")
