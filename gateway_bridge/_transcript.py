"""How a run ended, read from whatever the Gateway says of it: transcript, answers, events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from ..actors import Outcome, OutcomeKind, Progress

OUTPUT_CHARS = 4000
RECOVERY = "main_session_restart_recovery"
"""What the Gateway names as the source of the message with which it resumes a turn."""

CLOSING = {
    "aborted": OutcomeKind.ABORTED,
    "error": OutcomeKind.FAILED,
    "final": OutcomeKind.SUCCEEDED,
}
"""States of the `chat` event that closes a run."""


@attrs.frozen
class Transcript:
    """What a session's transcript tells of one run."""

    LIMIT: ClassVar = 1000
    """Rows that the Gateway gives at most; a run that we reconcile is among the last."""

    exists: bool
    """Whether the Gateway knows the session."""
    whole: bool
    """Whether all of it was read."""
    begun: bool
    """Whether the turn was taken: its user message is there."""
    rows: tuple[Mapping[str, Any], ...]
    """What was said in it, the Gateway's own continuation of it included."""

    @classmethod
    def of(cls, history: Mapping[str, Any], run_id: str) -> Transcript:
        """Read the answer of `chat.history`."""
        begun, rows = False, list[Mapping[str, Any]]()
        for row in records(history, "messages"):
            if begun and row.get("role") == "user" and not _is_recovery(row):
                break
            begun = begun or row.get("idempotencyKey") == f"{run_id}:user"
            if begun and row.get("role") == "assistant":
                rows.append(row)
        exists, whole = bool(history.get("sessionId")), history.get("hasMore") is not True
        return cls(exists, whole, begun, tuple(rows))

    @property
    def tokens(self) -> int | None:
        """Of all model calls of the run, as the Gateway counts them."""
        return sum(_whole(part(row, "usage").get("totalTokens")) for row in self.rows) or None

    @property
    def cost_usd(self) -> float | None:
        """By the prices in the Gateway's settings."""
        costs = (part(part(row, "usage"), "cost").get("total") for row in self.rows)
        return sum(_number(cost) for cost in costs) if self.tokens else None

    @property
    def progress(self) -> Progress:
        """How far the run came."""
        said = "\n".join(_said(row) for row in self.rows)
        return Progress(said[-OUTPUT_CHARS:], self.tokens, self.cost_usd)

    def outcome(self) -> Outcome | None:
        """How the run ended; None where it is interrupted, or still runs."""
        if not self.exists:
            return self.lost("the Gateway lost the session")
        if not self.begun and self.whole:
            return Outcome(OutcomeKind.NOT_STARTED, "the Gateway never began it")
        last = self.rows[-1] if self.rows else {}
        kind = _KIND_BY_STOP.get(str(last.get("stopReason")))
        if kind is None:
            return None
        if part(last, "openclawAbort"):
            kind = OutcomeKind.ABORTED
        return self._ended(kind, str(last.get("errorMessage") or ""))

    def lost(self, why: str) -> Outcome:
        """The outcome of a run of which nobody can say how it ended."""
        return self._ended(OutcomeKind.LOST, why)

    def _ended(self, kind: OutcomeKind, detail: str) -> Outcome:
        told = self.progress
        return Outcome(kind, detail, told.output, told.tokens, told.cost_usd)


_KIND_BY_STOP = {
    "aborted": OutcomeKind.ABORTED,
    "error": OutcomeKind.FAILED,
    "length": OutcomeKind.SUCCEEDED,
    "stop": OutcomeKind.SUCCEEDED,
}


def outcome_of(end: Mapping[str, Any]) -> Outcome:
    """Read the second answer to `agent`, or the answer of `agent.wait`."""
    result = part(end, "result")
    meta = part(result, "meta")
    agent = part(meta, "agentMeta")
    payloads = [p for p in records(result, "payloads") if p.get("isError") is not True]
    output = "\n".join(str(p.get("text") or "") for p in payloads)
    output = output or str(part(end, "terminalReply").get("text") or "")
    detail = end.get("error") or part(meta, "error").get("message") or end.get("summary")
    kind = _kind_of(end)
    return Outcome(
        kind,
        "" if kind is OutcomeKind.SUCCEEDED else str(detail or kind.value),
        output[-OUTPUT_CHARS:],
        _whole(part(agent, "usage").get("total")) or None,
        _number(agent.get("costUsd")) if "costUsd" in agent else None,
    )


def closing_outcome_of(chat: Mapping[str, Any]) -> Outcome:
    """Read the `chat` event that closes a run."""
    said = _said(part(chat, "message"))
    return Outcome(
        CLOSING[chat["state"]], str(chat.get("errorMessage") or ""), said[-OUTPUT_CHARS:]
    )


def _kind_of(end: Mapping[str, Any]) -> OutcomeKind:
    match end.get("status"), end.get("stopReason"):
        case "ok", _:
            return OutcomeKind.SUCCEEDED
        case _, "rpc" | "restart":  # somebody aborted the run, or reset the session
            return OutcomeKind.ABORTED
        case "timeout", _:
            return OutcomeKind.TIMED_OUT
        case "refused", _:
            return OutcomeKind.NOT_STARTED
        case _:
            return OutcomeKind.FAILED


def _is_recovery(row: Mapping[str, Any]) -> bool:
    return part(row, "provenance").get("sourceTool") == RECOVERY


def _said(message: Mapping[str, Any]) -> str:
    parts = [p for p in records(message, "content") if p.get("type") == "text"]
    return "\n".join(str(p.get("text") or "") for p in parts)


def records(answer: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the objects in the list that *answer* has under *key*; none where it has no list."""
    value = answer.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def part(answer: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the object that *answer* has under *key*; an empty one where it has none."""
    value = answer.get(key)
    return value if isinstance(value, dict) else {}


def _whole(value: object) -> int:
    return value if type(value) is int else 0  # no bool


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and abs(value) < 1e9 else 0.0
