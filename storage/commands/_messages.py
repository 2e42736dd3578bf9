"""Messages that commands leave for agents."""

from __future__ import annotations

from .._clock import US
from .._records import Message
from .._table import AGENTS, MESSAGES
from .._transaction import Transaction

MESSAGE_SENT, MESSAGE_DROPPED = "message_sent", "message_dropped"

LONGEST_BACKOFF_S = 3600.0
HOPS_AT_ONCE = 4
"""As many messages may lead to each other at once; then agents that talk keep to their schedules.

Two that mention each other in all that they say would wake each other for ever.
"""


def send(  # noqa: PLR0913 - the columns of a message
    tx: Transaction,
    project_id: str,
    to_agent: str,
    text: str,
    *,
    wakes: bool = True,
    read_by: str | None = None,
) -> Message:
    """Leave a message for an agent; it is read at its next pulse, or in the one *read_by* names."""
    hops = _hops(tx)
    message = Message(
        id=tx.new_id(),
        project_id=project_id,
        to_agent=to_agent,
        sender=tx.actor,
        text=text,
        read_by=read_by,
        at=tx.at,
        wakes=wakes,
        not_before=_put_off(tx, to_agent) if hops > HOPS_AT_ONCE else None,
        hops=hops,
    )
    return tx.insert(MESSAGES, message, MESSAGE_SENT)


def _hops(tx: Transaction) -> int:
    """Return how many messages led to what is said now."""
    open_pulse = "SELECT id FROM pulses WHERE agent_id = ? AND state <> 'ended'"
    pulse_id = tx.scalar(open_pulse, tx.actor)
    shown = "SELECT max(hops) FROM messages WHERE to_agent = ? AND read_by = ?"
    last = None if pulse_id is None else tx.scalar(shown, tx.actor, pulse_id)
    return 0 if last is None else int(last) + 1


def _put_off(tx: Transaction, agent_id: str) -> int | None:
    agent = tx.find(AGENTS, "WHERE id = ?", agent_id)
    if agent is None:
        return None
    return tx.at + round(min(agent.interval_s, LONGEST_BACKOFF_S) * US)
