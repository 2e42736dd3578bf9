"""Conversations: which one an agent's pulses run in, and when it begins afresh."""

from __future__ import annotations

from typing import ClassVar

import attrs

from .._errors import Conflict, NotFound
from .._records import Agent, Pulse, Session
from .._registry import register
from .._table import AGENTS, PULSES, SESSIONS
from .._transaction import Command, Transaction
from ._messages import send
from .help import AGENT_UPDATED

RETIRED = ""
"""The id of a conversation that is not to be gone on with."""

_REPLACED = (
    "The host of your conversation lost it or began it anew: you remember nothing of what was said"
    " before. Your notes, your tasks and what you learned are all there."
)
_RESTARTED = (
    "Your conversation was begun anew: you remember nothing of what was said before. Your notes,"
    " your tasks and what you learned are all there."
)


@register
@attrs.frozen
class RecordSession(Command[Session]):
    """Note which conversation an agent's pulses run in."""

    agent_id: str
    key: str
    session_id: str
    runner: str

    RESULT: ClassVar[type] = Session

    def apply(self, tx: Transaction) -> Session:
        """Does nothing where it is the one that is known.

        Where it is another, and nobody of ours wanted that, the agent is told in the pulse that is
        open, or in its next one; that is no reason for a pulse.
        """
        agent = tx.get(AGENTS, self.agent_id)
        known = tx.find(SESSIONS, "WHERE id = ?", self.agent_id)
        pulse = _open_pulse(tx, agent)
        if known is None:
            # It began with the pulse that needed it.
            began = tx.at if pulse is None else pulse.started_at
            session = Session(
                agent.id, agent.project_id, self.key, self.session_id, self.runner, began, tx.at
            )
            return tx.insert(SESSIONS, session, AGENT_UPDATED)
        if (known.key, known.session_id, known.runner) == (self.key, self.session_id, self.runner):
            return known
        if known.session_id != RETIRED and known.runner == self.runner:
            _tell(tx, agent, _REPLACED, pulse)
        return tx.put(
            SESSIONS,
            known,
            AGENT_UPDATED,
            key=self.key,
            session_id=self.session_id,
            runner=self.runner,
        )


@register
@attrs.frozen
class RetireSession(Command[Session]):
    """Do not go on with a conversation: whoever opens it next begins it afresh."""

    agent_id: str
    forget: bool = False
    """It is to be forgotten, so its agent need not be told."""

    RESULT: ClassVar[type] = Session

    def apply(self, tx: Transaction) -> Session:
        """Returns the conversation as it was; refuses one in which a pulse runs."""
        agent = tx.get(AGENTS, self.agent_id)
        known = tx.find(SESSIONS, "WHERE id = ?", agent.id)
        if known is None:
            raise NotFound(
                f"{agent.id} has no session: its first pulse makes one, or mission.session.create",
                field="instance_id",
            )
        pulse = _open_pulse(tx, agent)
        if pulse is not None:
            raise Conflict(
                f"a pulse of {agent.id} runs in its session: wait for its end, or end it with"
                " mission.agent.kill",
                pulse_id=pulse.id,
            )
        if not self.forget:
            _tell(tx, agent, _RESTARTED, None)
        tx.put(SESSIONS, known, AGENT_UPDATED, session_id=RETIRED, created_at=tx.at)
        return known


@register
@attrs.frozen
class ForgetSession(Command[None]):
    """Remove a conversation that was retired and has ended in its host."""

    agent_id: str

    RESULT: ClassVar[None] = None

    def apply(self, tx: Transaction) -> None:
        """Does nothing where it was begun afresh meanwhile, or is gone."""
        known = tx.find(SESSIONS, "WHERE id = ?", self.agent_id)
        if known is not None and known.session_id == RETIRED:
            tx.remove(SESSIONS, known, AGENT_UPDATED)


def _open_pulse(tx: Transaction, agent: Agent) -> Pulse | None:
    return tx.find(PULSES, "WHERE agent_id = ? AND state <> 'ended'", agent.id)


def _tell(tx: Transaction, agent: Agent, text: str, pulse: Pulse | None) -> None:
    read_by = None if pulse is None else pulse.id
    send(tx, agent.project_id, agent.id, text, wakes=False, read_by=read_by)
