"""Sessions and their transcripts: what outlives the Gateway's process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import attrs

from ._peer import Frame
from ._script import Turn

INPUT_TOKENS, OUTPUT_TOKENS = 100, 10
"""What each call of the scripted model uses."""
TOKEN_USD = 1e-6
MODEL = {"api": "openai-completions", "provider": "scripted", "model": "scripted-1"}
"""What rows that the model wrote say of it."""


def new_id() -> str:
    """Return an id as the Gateway makes them."""
    return str(uuid4())


@attrs.define
class Session:
    """One conversation with an agent."""

    key: str
    agent_id: str
    created_ms: int
    id: str = attrs.field(factory=new_id)
    revision: str = attrs.field(factory=new_id)
    cwd: str | None = None
    label: str | None = None
    updated_ms: int = 0
    rows: list[Frame] = attrs.field(factory=list)
    """The transcript, oldest first, as `chat.history` shows it."""
    status: str | None = None
    last_run_id: str | None = None
    aborted_last_run: bool = False
    unfinished: Turn | None = None
    """The turn that runs, or ran when the process was killed."""

    def reset(self, at_ms: int) -> None:
        """Begin the transcript afresh."""
        had_rows = bool(self.rows)
        self.revision, self.rows, self.status = new_id(), [], None
        self.unfinished, self.aborted_last_run, self.updated_ms = None, False, at_ms
        if had_rows:
            self.add({"role": "system", "content": [{"type": "text", "text": "Reset"}]}, at_ms)

    def add(self, row: Frame, at_ms: int, run_id: str | None = None) -> None:
        """Write *row* at the end of the transcript."""
        mark: Frame = {"id": new_id(), "recordTimestampMs": at_ms, "seq": len(self.rows) + 1}
        if run_id is not None:
            mark["runId"] = run_id
        self.rows.append({**row, "timestamp": at_ms, "__openclaw": mark})
        self.updated_ms = at_ms

    def has_turn(self, run_id: str) -> bool:
        """Whether the transcript holds the beginning of that turn."""
        return any(row.get("idempotencyKey") == f"{run_id}:user" for row in self.rows)

    def entry(self) -> Frame:
        """Return it as `sessions.create` and `sessions.reset` show it."""
        return _known(
            sessionId=self.id,
            lifecycleRevision=self.revision,
            updatedAt=self.updated_ms,
            createdAt=self.created_ms,
            createdVia="operator",
            label=self.label,
            spawnedCwd=self.cwd,
        )

    def row(self) -> Frame:
        """Return it as `sessions.describe` shows it."""
        return _known(
            key=self.key,
            sessionId=self.id,
            agentId=self.agent_id,
            createdAt=self.created_ms,
            updatedAt=self.updated_ms,
            label=self.label,
            spawnedCwd=self.cwd,
            status=self.status,
            lastRunId=self.last_run_id,
            abortedLastRun=self.aborted_last_run,
            archived=False,
        )

    def page(self, limit: int, offset: int) -> Frame:
        """Return *limit* rows of the transcript, after the newest *offset*."""
        end = max(0, len(self.rows) - offset)
        start = max(0, end - limit)
        page: Frame = {
            "messages": self.rows[start:end],
            "hasMore": start > 0,
            "totalMessages": len(self.rows),
        }
        if start > 0:
            page["nextOffset"] = len(self.rows) - start
        return page


@attrs.define
class Disk:
    """What the Gateway keeps where a crash does not reach it."""

    agents: tuple[str, ...]
    souls: Mapping[str, str]
    channels: frozenset[str] = frozenset()
    letters: list[Frame] = attrs.field(factory=list)
    """What `send` was asked to bring to people: that has left the process."""
    sessions: dict[str, Session] = attrs.field(factory=dict)

    def key_of(self, key: str, agent_id: str | None = None) -> str:
        """Return *key* as the Gateway writes it: in lower case, with its agent."""
        lower = key.lower()
        if lower.startswith("agent:") and lower.count(":") > 1:
            return lower
        return f"agent:{agent_id or self.agents[0]}:{lower}"

    def open(self, key: str, at_ms: int) -> Session | None:
        """Return the session, new or old; None where there is no such agent."""
        agent_id = key.split(":")[1]
        if agent_id not in self.agents:
            return None
        if key not in self.sessions:
            self.sessions[key] = Session(key, agent_id, at_ms, updated_ms=at_ms)
        return self.sessions[key]


def usage_of(calls: int) -> Frame:
    """Return the `usage` member of a row, or of a turn, for so many calls of the model."""
    input_, output = calls * INPUT_TOKENS, calls * OUTPUT_TOKENS
    cost = {
        "input": input_ * TOKEN_USD,
        "output": output * TOKEN_USD,
        "cacheRead": 0,
        "cacheWrite": 0,
        "total": (input_ + output) * TOKEN_USD,
    }
    return {
        "input": input_,
        "output": output,
        "totalTokens": input_ + output,
        "cacheRead": 0,
        "cacheWrite": 0,
        "cost": cost,
    }


def _known(**members: Any) -> Frame:
    return {name: value for name, value in members.items() if value is not None}
