"""Messages that commands leave for agents."""

from __future__ import annotations

from .._records import Message
from .._table import MESSAGES
from .._transaction import Transaction

MESSAGE_SENT = "message_sent"


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
    message = Message(
        tx.new_id(), project_id, to_agent, tx.actor, text, read_by, tx.at, wakes=wakes
    )
    return tx.insert(MESSAGES, message, MESSAGE_SENT)
