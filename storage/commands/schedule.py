"""When an agent pulses, and how long and how often it may try."""

from __future__ import annotations

from typing import ClassVar

import attrs

from .._clock import US
from .._errors import Invalid
from .._records import Agent
from .._registry import register
from .._table import AGENTS, TASKS
from .._transaction import Command, Transaction
from ._events import TASK_UPDATED
from ._streaks import ended_well
from .help import AGENT_UPDATED

SHORTEST_S, LONGEST_S = 0.01, 1e9
MOST_RETRIES = 1_000_000

_WAITING = "WHERE project_id = ? AND assignee = ? AND status IN (0, 1) AND not_before > ?"


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
        if changed == agent:
            return agent
        if self.interval_s is not None:
            self._bring_forward(tx, changed)
        return tx.put(AGENTS, agent, AGENT_UPDATED, **given)

    def _bring_forward(self, tx: Transaction, agent: Agent) -> None:
        """What waits for its next time waits no longer than an interval; not what has failed."""
        latest = tx.at + round(agent.interval_s * US)
        for task in tx.all(TASKS, _WAITING, agent.project_id, agent.soul, latest):
            if ended_well(tx.connection, task.id):
                tx.put(TASKS, task, TASK_UPDATED, not_before=latest)


def check_schedule(interval_s: float, timeout_s: float, max_retries: int) -> None:
    """Refuse values that no agent can have.

    Raises:
        Invalid: names the field.
    """
    for field, value in (("interval_s", interval_s), ("timeout_s", timeout_s)):
        if not SHORTEST_S <= value <= LONGEST_S:
            message = f"{field} must be {SHORTEST_S} to {LONGEST_S:g} seconds, not {value}"
            raise Invalid(message, field=field)
    if not 0 <= max_retries <= MOST_RETRIES:
        message = f"max_retries must be 0 to {MOST_RETRIES}, not {max_retries}"
        raise Invalid(message, field="max_retries")
