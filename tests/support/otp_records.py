"""What a world of `otp_model` is made of: plans of trees, processes, and what these are told."""

from __future__ import annotations

from collections import deque
from typing import Literal, TypeAlias

import attrs

State: TypeAlias = Literal["running", "restarting", "stopped"]
Noted: TypeAlias = "str | tuple[str, ...]"
"""A line of the journal, or lines that may come in any order."""


@attrs.frozen
class Rules:
    """A supervisor's flags and first children; a dynamic one has a template for its children."""

    strategy: Literal["one_for_one", "one_for_all", "rest_for_one"] = "one_for_one"
    intensity: int = 1
    period: float = 5.0
    auto_shutdown: Literal["never", "any_significant", "all_significant"] = "never"
    plans: tuple[Plan, ...] = ()
    template: Plan | None = None


@attrs.frozen
class Plan:
    """A child's specification.  Workers are those without *rules*."""

    id: str
    restart: Literal["permanent", "transient", "temporary"] = "permanent"
    significant: bool = False
    brutal: bool = False
    bare: bool = False
    """A worker without hooks: it cannot ignore its start, and its stop is not noted."""
    shared: bool = False
    """Ours: its lane."""
    delay: float = 0.0
    rules: Rules | None = None


@attrs.define(eq=False)
class Child:
    """What a supervisor knows of a child."""

    plan: Plan
    state: State = "stopped"
    incarnation: int = 0
    process: Process | None = None
    """The one whose end has not been dealt with."""
    ticket: int = 0
    """Of the retry that counts."""


@attrs.define(eq=False)
class Process:
    """One run of a child."""

    child: Child
    parent: Process | None
    reason: str | None = None
    """How it ended."""
    leaving: bool = False
    children: dict[str, Child] = attrs.field(factory=dict)
    stamps: list[float] = attrs.field(factory=list)
    inbox: deque[Message] = attrs.field(factory=deque)

    @property
    def rules(self) -> Rules:
        """Of a supervisor."""
        assert self.child.plan.rules is not None
        return self.child.plan.rules

    def counts(self) -> tuple[int, int, int, int]:
        """Return numbers of specifications, of the living, of supervisors and workers."""
        children = self.children.values()
        active = sum(child.process is not None for child in children)
        supervisors = sum(child.plan.rules is not None for child in children)
        specs = 1 if self.rules.template else len(children)
        return (specs, active, supervisors, len(children) - supervisors)


@attrs.frozen(eq=False)
class Ended:
    """An exit signal."""

    process: Process


@attrs.frozen(eq=False)
class Retry:
    """What a supervisor tells itself after a start that failed."""

    child: Child
    ticket: int


@attrs.frozen
class Call:
    """A request; its answer is noted under *number*."""

    number: int
    verb: Literal["start", "terminate", "restart", "delete"]
    plan: Plan
    """What to start; else only its id matters."""


Message: TypeAlias = Ended | Retry | Call
Act: TypeAlias = "tuple[str, str] | Call"
"""The id of a child and how it ends, or a call."""
