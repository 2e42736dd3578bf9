"""Records as clients see them: JSON objects with names, numbers and ISO 8601 times."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any, TypeAlias, get_args, get_origin, get_type_hints

import attrs

from ..actors import Mission
from ..storage import Change, Invalid, Task, TaskPlace, TaskStatus, record_of
from ..storage.history import Cursor
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
    "budget_updated",
    "budget_short",
    "budget_spent",
}
"""Kinds of change that clients are told of; the others are our own book-keeping."""

_PLACE = re.compile(r"([0-4])\.([1-5])\.([0-9]{1,18})\.([0-9a-f-]{36})")

_EPOCH = EPOCH.replace(tzinfo=None)


def to_wire(record: object) -> dict[str, Any]:
    """Return a record as a JSON object."""
    kind: Any = type(record)
    wire: dict[str, Any] = {}
    for name, field, write in _members(kind):
        value = getattr(record, field)
        wire[name] = value if write is None or value is None else write(value)
    return wire


_Write: TypeAlias = Callable[[Any], Any]


@cache
def _members(kind: type[Any]) -> list[tuple[str, str, _Write | None]]:
    """Return what becomes of each field: its name, where it comes from, and how it is written."""
    hints, members = get_type_hints(kind), []
    for field in attrs.fields(kind):
        members.append((field.name, field.name, _write_of(field.name, hints[field.name])))
        if hints[field.name] is TaskStatus:
            members.append((f"{field.name}_name", field.name, _lower_name))
    return members


def _write_of(name: str, hint: Any) -> _Write | None:
    if get_origin(hint) is tuple:
        return list
    (kind,) = [option for option in get_args(hint) or (hint,) if option is not type(None)]
    if issubclass(kind, Enum):
        return attrgetter("value")
    if kind is int and (name in ("at", "not_before") or name.endswith("_at")):
        return iso
    return None


def _lower_name(status: TaskStatus) -> str:
    return status.name.lower()


def iso(at_us: int) -> str:
    """Return a stored time as ISO 8601, UTC."""
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="milliseconds") + "Z"


def task_to_wire(mission: Mission, task: Task) -> dict[str, Any]:
    """Return a task with what it depends on."""
    return to_wire(task) | {"depends_on": list(mission.reads.depends_on(task.id))}


def place(task: Task) -> str:
    """Return where *task* stands on its board, opaque to clients: the next page begins there."""
    return f"{task.status:d}.{task.priority}.{task.created_at}.{task.id}"


def parse_place(text: str) -> TaskPlace:
    """Return the place that :func:`place` wrote.

    Raises:
        Invalid: it did not write this.
    """
    found = _PLACE.fullmatch(text)
    if found is None:
        raise Invalid("after must be the `next` of the page before", field="after")
    status, priority, created_at, id_ = found.groups()
    return TaskPlace(TaskStatus(int(status)), int(priority), int(created_at), id_)


def event_to_wire(change: Change, epoch: str) -> dict[str, Any]:
    """Return a change as the parameters of its notification."""
    return {
        "cursor": str(Cursor(epoch, change.seq)),
        "project_id": change.project_id,
        "entity": change.entity,
        "id": change.entity_id,
        "by": change.actor,
        "at": iso(change.at),
        "record": to_wire(record_of(change.entity, change.after)) if change.after else None,
    }
