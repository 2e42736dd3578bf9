"""The port between a pulse and whatever executes it.

Two implementations: `process` (a local command, in this part) and `openclaw` (a turn in the
Gateway, in gateway_bridge).  Tests bring a third.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Protocol

import attrs


@attrs.frozen
class PulseOrder:
    """All that a runner needs for one attempt.  Nothing in it changes while the attempt runs."""

    pulse_id: str
    """Unique, lower-case; at the Gateway also the idempotency key, and so the run id."""
    agent_id: str
    """The instance: `<soul>:<project>`."""
    project_id: str
    soul: str
    session_key: str
    """Where the conversation is kept; lower-case."""
    kind: str
    """A value of `PulseKind`."""
    task_id: str | None
    task_title: str | None
    attempt: int
    """1 for the first pulse on this task."""
    scope: Path
    """The project folder."""
    cwd: Path
    """`src/` in the scope."""
    status_text: str
    """The System Pulse Template, filled in, with the layers of memory."""
    prompt: str
    """One or two sentences: what this pulse is for."""
    timeout_s: float
    command: tuple[str, ...] = ()
    """What the process runner executes."""
    token: str = attrs.field(default="", repr=False)
    """Lets the agent call the API as itself, until the pulse ends."""


class OutcomeKind(Enum):
    """How an attempt ended, seen from outside."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    ABORTED = "aborted"
    LOST = "lost"
    """It ran once, it does not run now, and nobody can say how it ended."""
    NOT_STARTED = "not_started"
    """It never reached the runner, so it counts as no attempt at all."""


@attrs.frozen
class Outcome:
    """What came of an attempt."""

    kind: OutcomeKind
    detail: str = ""
    """One line for people: why it ended so."""
    output: str = ""
    """The last of what the agent said, at most 4,000 characters."""
    tokens: int | None = None
    cost_usd: float | None = None


@attrs.frozen
class RunHandle:
    """How to find a run again after a crash of ours.  Recorded before the run may act."""

    process_group: int | None = None
    process_started: str | None = None
    """The kernel's start time of the group's leader: tells a recycled number from ours."""
    run_id: str | None = None
    boot_id: str | None = None
    """Which life of the Gateway took the run."""


class Life(Protocol):
    """What a runner reports while an attempt runs."""

    def sign(self, what: str) -> None:
        """Something happened that only a living run does: output, a token, a tool call."""

    async def started(self, handle: RunHandle) -> None:
        """Make *handle* durable.  The run must not act before this returns."""


class Runner(Protocol):
    """Executes pulses.

    Cancelling `run` or `recover` aborts the attempt: when the cancelled call has ended, nothing of
    the attempt runs any more.
    """

    @property
    def name(self) -> str:
        """`process` or `openclaw`; recorded with each pulse."""

    @property
    def away(self) -> str | None:
        """Why no pulse can be run now; None when one can."""

    async def open_session(self, order: PulseOrder) -> str:
        """Make sure that the order's session exists, with its `cwd`; return its id.

        Raises:
            Unavailable: the runner's host is away.
        """

    async def run(self, order: PulseOrder, life: Life) -> Outcome:
        """Run the attempt to its end.

        Timeouts are the caller's, by cancelling; `order.timeout_s` only tells the host what to
        expect.  Failures of the agent are outcomes; only bugs and cancellation are raised.
        """

    async def recover(self, order: PulseOrder, handle: RunHandle, life: Life) -> Outcome:
        """Deal with an attempt that an earlier life of ours dispatched.

        Either it is adopted and followed to its end, or its end is found out, or it is aborted
        (`LOST`), or it turns out never to have begun (`NOT_STARTED`).
        """
