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
class SessionOrder:
    """All that a runner needs to find an agent's conversation, or to begin it."""

    agent_id: str
    """The instance: `<soul>:<project>`."""
    session_key: str
    """Where the conversation is kept; lower-case."""
    cwd: Path
    """`src/` in the scope."""


@attrs.frozen
class SessionStatus:
    """How a conversation stands in the runner's host."""

    session_id: str
    """As :meth:`Runner.open_session` returns it."""
    cwd: str | None
    updated_at: int | None
    """When something was last said in it, in µs; None where the host does not tell."""
    busy: bool
    """Whether a turn runs in it, ours or anybody's."""


@attrs.frozen
class Entry:
    """One entry of a transcript."""

    role: str
    """`user`, `assistant`, `tool` or `system`."""
    text: str
    at: int | None
    """In µs."""
    run_id: str | None = None
    """The attempt that it belongs to."""
    tool: str | None = None
    """The name of the tool that was called, or that answers."""


@attrs.frozen
class Page:
    """Some entries of a transcript, oldest first."""

    entries: tuple[Entry, ...]
    earlier: str | None
    """The cursor of the page before this one; None where there is none."""


@attrs.frozen
class HostAgent:
    """An agent that somebody configured in the runner's host, without us."""

    id: str
    name: str
    workspace: str
    model: str


@attrs.frozen
class PulseOrder(SessionOrder):
    """All that a runner needs for one attempt.  Nothing in it changes while the attempt runs."""

    pulse_id: str
    """Unique, lower-case; at the Gateway also the idempotency key, and so the run id."""
    project_id: str
    soul: str
    kind: str
    """A value of `PulseKind`."""
    task_id: str | None
    task_title: str | None
    attempt: int
    """1 for the first pulse on this task."""
    scope: Path
    """The project folder."""
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
class Progress:
    """What an attempt said, and what it took, so far."""

    output: str = ""
    """As in :class:`Outcome`."""
    tokens: int | None = None
    cost_usd: float | None = None


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

    @property
    def progress(self) -> Progress:
        """What it said and took, however it ended."""
        return Progress(self.output, self.tokens, self.cost_usd)


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

    def cut_short(self, progress: Progress) -> None:
        """The run was ended by cancelling, after *progress*: that is kept, and charged."""


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

    async def open_session(self, order: SessionOrder) -> str:
        """Make sure that the order's session exists, with its `cwd`; return its id.

        The id is another one as soon as the agent no longer remembers what was said before.

        Raises:
            Unavailable: the runner's host is away.
        """

    async def session_status(self, order: SessionOrder) -> SessionStatus | None:
        """Return how the session stands; None where the host has none.

        Raises:
            Unavailable: the runner's host is away.
        """

    async def reset_session(self, order: SessionOrder) -> None:
        """Let the session go on with nothing said in it, and nothing running.

        Raises:
            Unavailable: the runner's host is away.
        """

    async def end_session(self, order: SessionOrder) -> None:
        """Remove the session from the host, and end what runs in it.

        Raises:
            Unavailable: the runner's host is away.
        """

    async def transcript(
        self, order: SessionOrder, *, cursor: str | None, limit: int
    ) -> Page | None:
        """Return the last *limit* entries, or those before *cursor*; None where none is kept.

        Raises:
            Invalid: the cursor is none of this runner's.
            Unavailable: the runner's host is away.
        """

    async def host_agents(self) -> tuple[HostAgent, ...]:
        """Return the agents that somebody configured in the host.

        Raises:
            Unavailable: the runner's host is away.
        """

    async def host_soul(self, agent_id: str) -> str | None:
        """Return the SOUL.md of one of them; None where it has none.

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
