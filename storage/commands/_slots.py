"""Places in the stagger: each agent has one of its own, the smallest that was free."""

from __future__ import annotations

import attrs

from .._records import Agent, AgentStatus
from .._table import AGENTS
from .._transaction import Transaction

_FREE_SLOT = """
SELECT min(n) FROM (
  SELECT 0 AS n WHERE NOT EXISTS (SELECT 1 FROM agents WHERE slot = 0)
  UNION ALL
  SELECT a.slot + 1 FROM agents a
   WHERE NOT EXISTS (SELECT 1 FROM agents b WHERE b.slot = a.slot + 1))
"""


def free_slot(tx: Transaction) -> int:
    """Return the smallest number that no agent has."""
    return int(tx.scalar(_FREE_SLOT))


def copy_agent(tx: Transaction, agent: Agent, project_id: str) -> Agent:
    """Put the soul of *agent* to work in another project, with the same settings."""
    copy = attrs.evolve(
        agent,
        id=f"{agent.soul}:{project_id}",
        project_id=project_id,
        status=AgentStatus.IDLE,
        slot=free_slot(tx),
        current_task_id=None,
        last_pulse_at=None,
        owes_memory=False,
        created_at=tx.at,
        updated_at=tx.at,
        version=1,
    )
    return tx.insert(AGENTS, copy, "agent_updated")
