"""One turn of the Gateway while it is followed: what came of it so far, and from where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import trio

from ..actors import Life, Outcome
from ._frames import Event, Settled, WireError
from ._link import Gap, Watch
from ._refusals import is_transient
from ._transcript import CLOSING, closing_outcome_of, outcome_of

SIGNS = {
    "assistant": "token",
    "command_output": "tool output",
    "item": "progress",
    "lifecycle": "turn",
    "tool": "tool call",
}
"""Streams of `agent` events that only a living run writes."""


@attrs.define
class Run:
    """What is known of one run while it is followed."""

    session_key: str
    run_id: str
    boot_id: str
    doubtful: bool = False
    """Whether it is open that this life of the Gateway has heard of it."""
    begun: bool = attrs.field(default=False, init=False)
    """Whether it has said something."""
    over: trio.Event = attrs.field(factory=trio.Event, init=False)
    settled: trio.Event = attrs.field(factory=trio.Event, init=False)
    forgotten: bool = attrs.field(default=False, init=False)
    _end: Mapping[str, Any] | None = attrs.field(default=None, init=False)
    _closing: Mapping[str, Any] | None = attrs.field(default=None, init=False)

    def settle(self, payload: Mapping[str, Any], error: WireError | None = None) -> None:
        """Take the second answer to `agent`, the best that there is; ignore its first."""
        if error is not None:
            # A turn that ran and failed is UNAVAILABLE too, as is one that never started.
            status = "refused" if is_transient(error) and not self.begun else "error"
            payload = {"status": status, "error": error.message}
        elif "result" not in payload and "summary" not in payload:
            return
        self._end = payload
        self.settled.set()
        self.over.set()

    def end(self, payload: Mapping[str, Any]) -> None:
        """Take the answer of `agent.wait`."""
        self._end = self._end or payload
        self.over.set()

    def close(self, payload: Mapping[str, Any]) -> None:
        """Take the `chat` event that closes the run."""
        self._closing = payload
        self.over.set()

    def forget(self) -> None:
        """Nothing will come any more: the transcript has to tell."""
        self.forgotten = True
        self.over.set()

    def outcome(self) -> Outcome | None:
        """How it ended, by the best of what came; None if only the transcript can tell."""
        if self._end is not None:
            return outcome_of(self._end)
        return None if self._closing is None else closing_outcome_of(self._closing)


async def collect(run: Run, life: Life, updates: Watch) -> None:
    """Take in what the Gateway tells of *run*, until cancelled."""
    async for update in updates:
        match update:
            case Settled(payload=payload, error=error):
                run.settle(payload, error)
            case Event(name="agent", payload={"runId": run.run_id, "stream": str(stream)}):
                run.begun = True
                if stream in SIGNS:
                    life.sign(SIGNS[stream])
            case Event(name="chat", payload={"runId": run.run_id, "state": str(state)} as payload):
                if state in CLOSING:
                    run.close(payload)
            case Event() | Gap():
                pass  # others' events; what a gap hid, `_look` finds out
