"""Records as clients see them: JSON objects with names, numbers and ISO 8601 times."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Any

import attrs

from ..actors import Mission
from ..storage import Change, Task, TaskStatus, record_of
from ._params import EPOCH

PUBLISHED = {
    "task_updated",
    "thought_logged",
    "agent_updated",
    "project_updated",
    "chronicle_updated",
    "help_requested",
    "help_answered",
    "pulse_updated",
    "message_sent",
    "memory_distilled",
}
"""Kinds of change that clients are told of; the others are our own book-keeping."""


def to_wire(record: Any) -> dict[str, Any]:
    """Return a record as a JSON object."""
    return {
        name: value
        for field in attrs.fields(type(record))
        for name, value in _member(field.name, getattr(record, field.name))
    }


def _member(name: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, TaskStatus):
        return [(name, value.value), (f"{name}_name", value.name.lower())]
    if isinstance(value, Enum):
        return [(name, value.value)]
    if isinstance(value, tuple):
        return [(name, list(value))]
    if isinstance(value, int) and (name == "at" or name.endswith("_at") or name == "not_before"):
        return [(name, iso(value))]
    return [(name, value)]


def iso(at_us: int) -> str:
    """Return a stored time as ISO 8601, UTC."""
    text = (EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def task_to_wire(mission: Mission, task: Task) -> dict[str, Any]:
    """Return a task with what it depends on."""
    return to_wire(task) | {"depends_on": list(mission.reads.depends_on(task.id))}


def cursor(epoch: str, seq: int) -> str:
    """Return the place in the feed, opaque to clients."""
    return f"{epoch}.{seq}"


def event_to_wire(change: Change, epoch: str) -> dict[str, Any]:
    """Return a change as the parameters of its notification."""
    return {
        "cursor": cursor(epoch, change.seq),
        "project_id": change.project_id,
        "entity": change.entity,
        "id": change.entity_id,
        "by": change.actor,
        "at": iso(change.at),
        "record": to_wire(record_of(change.entity, change.after)) if change.after else None,
    }
