"""One turn in the memory of the Gateway, and all that is ever said of how it ended."""

from __future__ import annotations

from contextlib import suppress

import attrs
import trio
from trio_websocket import ConnectionClosed

from ._peer import Frame, Peer, Refusal
from ._script import Turn
from ._sessions import new_id, usage_of

RESET = "agent run aborted for restart"
TIMED_OUT = "Request timed out before a response was generated."


@attrs.define(eq=False)
class Run:
    """A turn from its request to its second answer."""

    turn: Turn
    peer: Peer | None = None
    """Who asked for it; the Gateway asks for those that it resumes."""
    request: Frame | None = None
    task_id: str = attrs.field(factory=new_id)
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    stopped: str | None = None
    """Why somebody ended it: `rpc` or `restart`."""
    started_ms: int | None = None
    events: int = 0
    calls: int = 0
    """How often the model was called."""
    said: list[str] = attrs.field(factory=list)
    tools: list[str] = attrs.field(factory=list)
    waited: Frame | None = None
    """What `agent.wait` answers, once it has ended."""
    settled: Frame | None = None
    """The payload of the second answer to `agent`, and of what a repeated request gets."""
    refusal: Refusal | None = None
    """The error beside it."""

    @property
    def id(self) -> str:
        """Which is the idempotency key that it was asked for with."""
        return self.turn.run_id

    def stop(self, reason: str, at_ms: int) -> None:
        """End it from outside."""
        self.stopped = reason
        error = {"error": RESET} if reason == "restart" else {}
        self.end(at_ms, status="error", stopReason=reason, **error)
        self.scope.cancel()

    def end(self, at_ms: int, **outcome: object) -> None:
        """Know what `agent.wait` answers; the first that comes counts."""
        if self.waited is None:
            self.waited = {"runId": self.id, "endedAt": at_ms, **outcome}

    async def settle(self, **outcome: object) -> None:
        """Answer the request for the second time."""
        self.settled = {"runId": self.id, **outcome}
        if self.peer is not None and self.request is not None:
            await self.peer.settle(self.request, self.settled)

    async def break_off(self, refusal: Refusal, payload: Frame) -> None:
        """Answer the request for the second time: with an error, and with *payload* beside it."""
        self.settled, self.refusal = payload, refusal
        if self.peer is not None and self.request is not None:
            await self.peer.settle(self.request, payload, refusal)

    async def tell_tool(self, **payload: object) -> None:
        """Tell of a tool call who began the turn, if they asked for that."""
        if self.peer is not None and self.peer.tool_events:
            with suppress(ConnectionClosed):
                await self.peer.tell("agent", **payload)

    def result(self, texts: list[Frame], session_id: str, at_ms: int) -> Frame:
        """Return the `result` member of the second answer."""
        usage = usage_of(self.calls)
        usage = {**usage, "total": usage.pop("totalTokens")}
        agent = {
            "sessionId": session_id,
            "provider": "scripted",
            "model": "scripted-1",
            "usage": usage,
            "costUsd": usage["cost"]["total"],
            "assistantTurns": self.calls,
        }
        spent = at_ms - (self.started_ms or at_ms)
        return {"payloads": texts, "meta": {"durationMs": spent, "agentMeta": agent}}

    def receipt(self, session_id: str, *, visible: bool) -> Frame:
        """Return what the end of a turn proves."""
        return {
            "runId": self.id,
            "sessionId": session_id,
            "successfulToolNames": list(self.tools),
            "terminalDisposition": "visible" if visible else "not-visible",
        }

    def task(self, at_ms: int) -> Frame:
        """Return it as `tasks.list` shows it."""
        running = self.started_ms is not None
        return {
            "id": self.task_id,
            "taskId": self.task_id,
            "kind": "cli",
            "runtime": "cli",
            "status": "running" if running else "queued",
            "title": self.turn.message[:80],
            "agentId": self.turn.agent_id,
            "sessionKey": self.turn.session_key,
            "runId": self.id,
            "updatedAt": at_ms,
        }
