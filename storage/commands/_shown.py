"""What becomes of the messages that an attempt was shown, when it ends."""

from __future__ import annotations

from .._clock import US
from .._records import Message, Pulse
from .._table import AGENTS, MESSAGES, TASKS
from .._transaction import Transaction
from ._events import note
from ._messages import LONGEST_BACKOFF_S

SHOWN = "WHERE to_agent = ? AND read_by = ? ORDER BY pk"
QUOTED_CHARS = 200


def give_back(tx: Transaction, pulse: Pulse, wait_s: float = 0.0) -> None:
    """The next attempt is shown them: this one had no chance, or nobody blames it.

    For *wait_s* they are no reason to begin it.
    """
    later = {"not_before": tx.at + round(wait_s * US)} if wait_s else {}
    for message in tx.all(MESSAGES, SHOWN, pulse.agent_id, pulse.id):
        tx.put(MESSAGES, message, "message_read", read_by=None, **later)


def offer_again(tx: Transaction, pulse: Pulse, retry_delay_s: float) -> None:
    """Nobody knows what a pulse that failed made of them; not for ever, as with tasks."""
    agent = tx.find(AGENTS, "WHERE id = ?", pulse.agent_id)
    for message in tx.all(MESSAGES, SHOWN, pulse.agent_id, pulse.id):
        failures = message.failures + 1
        if agent is None or failures >= max(1, agent.max_retries):
            tx.put(MESSAGES, message, "message_read", failures=failures)
            told = f"{failures} pulses of {pulse.agent_id} failed over the message of"
            _tell_sender(tx, pulse, message, "message_failed", told)
            continue
        wait_s = min(retry_delay_s * 2.0**message.failures, LONGEST_BACKOFF_S)
        not_before = tx.at + round(wait_s * US)
        again = {"read_by": None, "failures": failures, "not_before": not_before}
        tx.put(MESSAGES, message, "message_read", **again)


def acknowledge(tx: Transaction, pulse: Pulse) -> None:
    """Let agents see, where they look at their tasks, that their messages were read."""
    for message in tx.all(MESSAGES, SHOWN, pulse.agent_id, pulse.id):
        told = f"{pulse.agent_id} has read the message of"
        _tell_sender(tx, pulse, message, "message_read", told)


def _tell_sender(tx: Transaction, pulse: Pulse, message: Message, kind: str, told: str) -> None:
    sender = tx.find(AGENTS, "WHERE id = ?", message.sender)
    if sender is None:
        return  # a person, or the service
    task = tx.find(TASKS, "WHERE id = ?", sender.current_task_id or pulse.task_id)
    if task is not None:
        what = f"{told} {sender.id}: {message.text[:QUOTED_CHARS]}"
        note(tx, task, kind, what, agent_id=pulse.agent_id, pulse_id=pulse.id)
