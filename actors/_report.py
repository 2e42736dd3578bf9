"""What coding agents' command lines say of themselves, in lines of JSON: cost, tokens, last words.

The events are those of `claude --output-format stream-json` (Claude Code 2), `codex exec --json`
(Codex 0.5x and later) and `gemini --output-format stream-json` (Gemini CLI 0.2x).  Whatever else
stands in the output, of other versions or of nobody, is passed over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import attrs

MAX_LINE_BYTES = 1 << 20
"""A longer line is passed over."""
MAX_WORDS_CHARS = 4_000
MOST = 10**12
"""No agent takes as many tokens or dollars: a larger number is passed over."""


@attrs.frozen
class Report:
    """What has been said so far."""

    words: str = ""
    """The last that the agent said to people."""
    tokens: int | None = None
    cost_usd: float | None = None
    failure: str | None = None
    """Why the agent itself thinks that it failed."""
    message: str | None = None
    """The last whose tokens are counted, where they are told message by message."""
    tokens_before: int | None = None
    """Those of the messages before it."""


Event: TypeAlias = dict[str, Any]
Hear: TypeAlias = Callable[[Report, Event], Report]
"""Adds an event to a report."""


class Lines:
    """Cuts a stream into lines of JSON objects."""

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the objects whose lines end in *chunk*."""
        *whole, rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            if not self._skipping and (event := _object(line)) is not None:
                yield event
            self._skipping = False
        self._skipping = self._skipping or len(rest) > MAX_LINE_BYTES
        self._rest = b"" if self._skipping else rest


def _object(line: bytes) -> Event | None:
    if not line.startswith(b"{"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def claude(report: Report, event: Event) -> Report:
    """Hear `claude`: the last event holds everything; only one that is cut short lacks it."""
    match event:
        case {"type": "assistant", "message": {"id": str(message), "usage": usage} as said}:
            return _claude_message(report, message, _claude_tokens(usage), said.get("content"))
        case {"type": "result"}:
            return _claude_result(event)
        case _:
            return report


def _claude_message(report: Report, id_: str, tokens: int | None, content: object) -> Report:
    """Hear a message, or one more part of it: each part has its own content, and tells of all."""
    before = report.tokens_before if id_ == report.message else report.tokens
    parts = content if isinstance(content, list) else []
    texts = [_words(part.get("text")) for part in parts if isinstance(part, dict)]
    words = "\n".join(filter(None, texts))
    return attrs.evolve(
        report,
        words=words or report.words,
        tokens=_plus(before, tokens),
        message=id_,
        tokens_before=before,
    )


def _claude_result(event: Event) -> Report:
    words = _words(event.get("result"))
    failed = event.get("is_error") is True
    return Report(
        words,
        _claude_tokens(event.get("usage")),
        _cost(event.get("total_cost_usd")),
        (words or str(event.get("subtype"))) if failed else None,
    )


def _claude_tokens(usage: object) -> int | None:
    return _sum(
        usage,
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "output_tokens",
    )


def codex(report: Report, event: Event) -> Report:
    """Hear `codex`: messages as they come, and tokens at the end of each turn."""
    match event:
        case {"type": "item.completed", "item": {"type": "agent_message", "text": text}}:
            return attrs.evolve(report, words=_words(text))
        case {"type": "turn.completed", "usage": usage}:
            used = _sum(usage, "input_tokens", "output_tokens")
            return attrs.evolve(report, tokens=_plus(report.tokens, used), failure=None)
        case {"type": "turn.failed", "error": {"message": why}}:
            return attrs.evolve(report, failure=_words(why))
        case _:
            return report


def gemini(report: Report, event: Event) -> Report:
    """Hear `gemini`: words in pieces, and tokens at the end."""
    match event:
        case {"type": "message", "role": "assistant", "content": str(text), "delta": True}:
            return attrs.evolve(report, words=_words(report.words + text))
        case {"type": "message", "role": "assistant", "content": text}:
            return attrs.evolve(report, words=_words(text))
        case {"type": "message" | "tool_use"}:
            return attrs.evolve(report, words="")
        case {"type": "result"}:
            error = event.get("error")
            why = _words(error.get("message")) if isinstance(error, dict) else "it says so"
            failed = event.get("status") == "error"
            return attrs.evolve(
                report,
                tokens=_sum(event.get("stats"), "total_tokens"),
                failure=why if failed else None,
            )
        case _:
            return report


def _words(value: object) -> str:
    return value.strip()[-MAX_WORDS_CHARS:] if isinstance(value, str) else ""


def _sum(usage: object, *names: str) -> int | None:
    if not isinstance(usage, dict):
        return None
    counts = [count for name in names if (count := _count(usage.get(name))) is not None]
    return sum(counts) if counts else None


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= MOST else None


def _plus(one: int | None, other: int | None) -> int | None:
    return other if one is None else one + (other or 0)


def _cost(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= MOST else None
