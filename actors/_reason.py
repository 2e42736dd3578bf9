"""Why a task goes on, or does not: as a record, and as one sentence for people."""

from __future__ import annotations

from enum import Enum

import attrs

from ..storage import US
from ._mirror import when


class Because(Enum):
    """What a task is about, or what it waits for."""

    OVER = "over"
    """It is done or archived, or its project is."""
    RUNNING = "running"
    DUE = "due"
    """Its agent looks at it again at a time that is set."""
    NEXT = "next"
    """Nothing is in its way: its agent takes it up in a moment."""
    IN_LINE = "in_line"
    """Its agent has something else to do first."""
    SLOT = "slot"
    """As many pulses run as may run at once."""
    TASKS = "tasks"
    """Other tasks have to be done first."""
    ANSWER = "answer"
    """A question to a human is open."""
    QUARANTINED = "quarantined"
    """It failed too often, and a human is asked."""
    BLOCKED = "blocked"
    """Somebody moved it to blocked."""
    PAUSED = "paused"
    """Its agent is."""
    HALTED = "halted"
    """Its agent gets no pulses for another reason than a pause."""
    BUDGET = "budget"
    UNASSIGNED = "unassigned"
    NO_AGENT = "no_agent"
    """Its assignee does not work in the project."""
    AWAY = "away"
    """No pulse can be run: what runs them cannot be reached, or what records them fails."""
    STARTING = "starting"
    """Its agent is being started, or the service failed to start it."""


@attrs.frozen
class Reason:
    """The answer to "why does nothing happen with it", or what does.  Times are stored times."""

    because: Because
    sentence: str
    """For people; ends with a full stop."""
    agent_id: str | None = None
    pulse_id: str | None = None
    """The attempt that runs."""
    since_at: int | None = None
    due_at: int | None = None
    """When it goes on, where that is known."""
    place: int | None = None
    """In the line that it waits in, from 1."""
    waits_for: tuple[str, ...] = ()
    """Ids of tasks."""
    help_id: str | None = None
    version: int = 0
    """Of the task that this is said of."""


def until(at_us: int, now_us: int) -> str:
    """Say when something is due, by the clock and from now."""
    return f"at {when(at_us)} UTC, in {max(at_us - now_us, 0) / US:.0f} s"


def listed(titles: list[str], most: int = 3) -> str:
    """Name the first of *titles*, and say how many more there are."""
    named = ", ".join(repr(title) for title in titles[:most])
    return named if len(titles) <= most else f"{named} and {len(titles) - most} more"
