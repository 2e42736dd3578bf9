"""What is kept, as values: one frozen record for each table, in the words of SYSTEM §2.

Times are microseconds since the Unix epoch (`*_at`), spans are seconds (`*_s`).  `version` counts
the writes to a row, and is what `expected_version` is compared with.
"""

from __future__ import annotations

from enum import Enum, IntEnum

import attrs

OURSELVES = "mission-control"
"""Who writes what nobody asked for."""


class TaskStatus(IntEnum):
    """The columns of the board.  The wire accepts number or name, and answers with both."""

    BACKLOG = 0
    IN_PROGRESS = 1
    DONE = 2
    BLOCKED = 3
    ARCHIVED = 4


class AgentStatus(Enum):
    """What an agent instance is about."""

    IDLE = "idle"
    WORKING = "working"
    DISTILLING = "distilling"
    """Its task is done; the next pulse asks it what it learned."""
    BLOCKED = "blocked"
    """It asked a human and waits."""
    PAUSED = "paused"
    FAILED = "failed"


class ProjectState(Enum):
    """Whether the agents of a project are woken."""

    ACTIVE = "active"
    ARCHIVED = "archived"


class Deletion(Enum):
    """What becomes of the folder of a project that is being deleted."""

    ARCHIVE = "archive"
    """It is packed into a file among the backups."""
    PURGE = "purge"
    """Nothing of it is kept."""


class PulseState(Enum):
    """How far an attempt has come."""

    DISPATCHING = "dispatching"
    """Recorded, and perhaps handed to the runner."""
    RUNNING = "running"
    """The runner has said how to find it again."""
    ENDED = "ended"


class PulseKind(Enum):
    """What a pulse is for."""

    WORK = "work"
    DISTILL = "distill"
    MESSAGE = "message"
    TRIGGER = "trigger"


class HelpState(Enum):
    """Whether a question still waits for a human."""

    OPEN = "open"
    ANSWERED = "answered"
    WITHDRAWN = "withdrawn"
    """The task was moved on without an answer."""


@attrs.frozen
class Project:
    """A board, its agents and its folder."""

    id: str
    name: str
    state: ProjectState
    base_id: str | None
    created_at: int
    updated_at: int
    version: int = 1
    deleting: Deletion | None = None
    """Set once it is being deleted: nothing else is done with it any more."""


@attrs.frozen
class Soul:
    """A persona, as it was when it was last installed."""

    id: str
    sha256: str
    created_at: int
    version: int = 1


@attrs.frozen
class Agent:
    """A soul at work in a project."""

    id: str
    """`<soul>:<project>`."""
    project_id: str
    soul: str
    status: AgentStatus
    slot: int
    """Its place in the stagger; see actors/_schedule.py."""
    interval_s: float
    timeout_s: float
    max_retries: int
    command: tuple[str, ...]
    """For the process runner; empty means the configured default."""
    gateway_agent: str
    """Which of the Gateway's agents lends model and tools; empty means the configured default."""
    current_task_id: str | None
    last_pulse_at: int | None
    created_at: int
    updated_at: int
    version: int = 1
    owes_memory: bool = False
    """Its task is done, and it has not been asked yet what it learned: pauses do not undo that."""


@attrs.frozen
class Task:
    """A card."""

    id: str
    project_id: str
    title: str
    description: str
    status: TaskStatus
    assignee: str | None
    """A soul."""
    priority: int
    """1 (high) to 5 (low)."""
    labels: tuple[str, ...]
    side_effects: bool
    """Attempts act on the outside world, so a failed one must not be repeated blindly."""
    due_at: int | None
    attempts: int
    failures: int
    """Failed attempts since the last good one."""
    not_before: int | None
    """Not offered to its agent before this time."""
    created_by: str
    created_at: int
    updated_at: int
    version: int = 1


@attrs.frozen
class TaskOwner:
    """Of a card, whose it is and if it waits: what is to be known to add to its thoughts.

    A thought is the commonest of all writes, and the whole card would be a seventh of its cost.
    """

    id: str
    project_id: str
    assignee: str | None
    not_before: int | None


@attrs.frozen
class Dependency:
    """*task_id* is not offered before *depends_on* is done."""

    id: str
    """`<task_id>/<depends_on>`."""
    project_id: str
    task_id: str
    depends_on: str


@attrs.frozen
class TaskEvent:
    """One entry of the thought stream."""

    id: str
    project_id: str
    task_id: str | None
    agent_id: str | None
    pulse_id: str | None
    kind: str
    """`thought`, `created`, `moved`, `assigned`, `claimed`, `failed`, `deadman`, `help`, ..."""
    thought: str
    action: str
    at: int


@attrs.frozen
class Pulse:
    """One recorded attempt.  It is written before the runner hears of it."""

    id: str
    project_id: str
    agent_id: str
    task_id: str | None
    kind: PulseKind
    attempt: int
    state: PulseState
    runner: str
    outcome: str | None
    detail: str
    output: str
    process_group: int | None
    process_started: str | None
    run_id: str | None
    boot_id: str | None
    tokens: int | None
    cost_usd: float | None
    started_at: int
    ended_at: int | None
    fence: int = 0
    """The token of its lease: what it writes counts while the lease has this one."""
    version: int = 1
    effects: str = ""
    """What it is known to have done outside, or may have done unseen; empty where that is nothing.

    It is written when an attempt ends that did not succeed.
    """
    skipped: int = 0
    """How many times of the schedule came while it ran."""


class BudgetLevel(Enum):
    """How much of a budget is left."""

    AMPLE = "ample"
    SHORT = "short"
    """The share is reached at which somebody is warned."""
    SPENT = "spent"
    """No pulse is begun any more on this day."""


@attrs.frozen
class Budget:
    """What the pulses of a project, or of the home, may take in a day (UTC), and what they took."""

    id: str
    """The project's, or `*` for the home."""
    project_id: str | None
    tokens_per_day: int | None
    """None where there is no limit; so is the cost."""
    cost_usd_per_day: float | None
    warn_at: float
    """The share of either limit at which somebody is warned."""
    day: str
    """The day that the following are of, as `2026-11-22`; on a later one nothing is spent yet."""
    tokens: int
    cost_usd: float
    level: BudgetLevel
    created_at: int
    updated_at: int
    version: int = 1


@attrs.frozen
class Session:
    """The conversation in which an agent's pulses run."""

    id: str
    """The agent's id: there is one session an agent."""
    project_id: str
    key: str
    session_id: str
    runner: str
    created_at: int
    updated_at: int
    version: int = 1


@attrs.frozen
class HelpRequest:
    """A question to a human."""

    id: str
    project_id: str
    task_id: str
    agent_id: str | None
    issue: str
    urgency: str
    state: HelpState
    answer: str | None
    answered_by: str | None
    created_at: int
    answered_at: int | None
    version: int = 1
    told_at: int | None = None
    """When it was sent to a person through the Gateway."""
    halts: bool = True
    """Whether its agent waits for the answer, or goes on with other tasks meanwhile."""


@attrs.frozen
class Message:
    """A note to an agent; `history.jsonl` is made of these."""

    id: str
    project_id: str
    to_agent: str
    sender: str
    text: str
    read_by: str | None
    """The pulse that was shown it."""
    at: int
    version: int = 1
    wakes: bool = True
    """Whether it is a reason for a pulse, or waits for the next one."""
    failures: int = 0
    """Pulses that were shown it and failed."""
    not_before: int | None = None
    """No reason for a pulse before this time."""
    hops: int = 0
    """How many messages led to it, one by the other: its sender was shown the last of them."""


@attrs.frozen
class ChronicleEntry:
    """One entry of the project's story."""

    id: str
    project_id: str
    author: str
    summary: str
    technical_debt: str
    at: int


@attrs.frozen
class Memory:
    """What an agent learned from a task; `learned.md` is made of these."""

    id: str
    project_id: str
    agent_id: str
    task_id: str | None
    summary: str
    at: int
    archive_notes: bool = True
    """Whether the working notes of then are put away."""


@attrs.frozen
class Change:
    """One committed change: what the feed carries."""

    seq: int
    project_id: str | None
    kind: str
    """The event's name: `task_updated`, `thought_logged`, ..."""
    entity: str
    """The table."""
    entity_id: str
    actor: str
    at: int
    after: str | None
    """The row after the change, as a JSON object; None when it was deleted."""
