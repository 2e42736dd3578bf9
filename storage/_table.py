"""A record's row: static SQL and the two conversions, made once from the record's fields."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from enum import Enum
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

import attrs

from ._errors import NotFound
from ._records import (
    Agent,
    ChronicleEntry,
    Dependency,
    HelpRequest,
    Memory,
    Message,
    Project,
    Pulse,
    Session,
    Soul,
    Task,
    TaskEvent,
)

R = TypeVar("R")


def _identity(value: Any) -> Any:
    return value


def _dump_list(value: tuple[str, ...]) -> str:
    return json.dumps(list(value), ensure_ascii=False)


def _load_list(value: str) -> tuple[str, ...]:
    return tuple(json.loads(value))


def _conversions(hint: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    if get_origin(hint) is tuple:
        return _dump_list, _load_list
    options = [option for option in get_args(hint) or (hint,) if option is not type(None)]
    if len(options) == 1 and isinstance(options[0], type):
        (kind,) = options
        if issubclass(kind, Enum):
            return (lambda value: value.value), kind
        if kind is bool:
            return int, bool
    return _identity, _identity


class Table(Generic[R]):
    """How records of one class are kept.  The key is always the column `id`.

    sqlite-utils' `insert` and `upsert` cost ten to thirty times as much as these statements.
    """

    def __init__(self, record: type[R], name: str) -> None:
        hints = get_type_hints(record)
        fields = [field.name for field in attrs.fields(record)]  # type: ignore[arg-type]
        self.record = record
        self.name = name
        self.columns = ", ".join(fields)
        self._fields = fields
        self._conversions = [_conversions(hints[field]) for field in fields]
        updates = ", ".join(f"{field} = excluded.{field}" for field in fields if field != "id")
        marks = ", ".join("?" * len(fields))
        self.upsert = (
            f"INSERT INTO {name}({self.columns}) VALUES({marks})"
            f" ON CONFLICT(id) DO UPDATE SET {updates}"
        )
        self.insert = f"INSERT INTO {name}({self.columns}) VALUES({marks})"
        self.select = f"SELECT {self.columns} FROM {name}"  # noqa: S608
        self.delete = f"DELETE FROM {name} WHERE id = ?"  # noqa: S608

    def row(self, record: R) -> list[Any]:
        """Return the cells of *record*, in the order of `columns`."""
        return [
            dump(getattr(record, field))
            for field, (dump, _) in zip(self._fields, self._conversions, strict=True)
        ]

    def image(self, row: list[Any]) -> str:
        """Return a row as the JSON object that the change log keeps."""
        return json.dumps(dict(zip(self._fields, row, strict=True)), ensure_ascii=False)

    def of_image(self, image: str) -> R:
        """Make the record of what `image` returned, perhaps before the table had all columns."""
        cells: dict[str, Any] = json.loads(image)
        return self.load(tuple(cells.get(field) for field in self._fields))

    def load(self, row: tuple[Any, ...]) -> R:
        """Make the record of a row that was selected with `select`."""
        return self.record(
            *(
                None if cell is None else load(cell)
                for cell, (_, load) in zip(row, self._conversions, strict=True)
            )
        )

    def missing(self, id_: str) -> NotFound:
        """Return the refusal that there is no record with this id."""
        noun = self.record.__name__.lower()
        details: dict[str, Any] = {f"{noun}_id": id_}
        return NotFound(f"there is no {noun} {id_!r}", **details)

    def all(self, connection: sqlite3.Connection, where: str, *args: object) -> list[R]:
        """Return the records that `select` + *where* finds."""
        return [self.load(row) for row in connection.execute(f"{self.select} {where}", args)]

    def first(self, connection: sqlite3.Connection, where: str, *args: object) -> R | None:
        """Return the first record that `select` + *where* finds."""
        row = connection.execute(f"{self.select} {where} LIMIT 1", args).fetchone()
        return None if row is None else self.load(row)

    def get(self, connection: sqlite3.Connection, id_: str) -> R | None:
        """Return the record with this id."""
        return self.first(connection, "WHERE id = ?", id_)


PROJECTS = Table(Project, "projects")
SOULS = Table(Soul, "souls")
AGENTS = Table(Agent, "agents")
TASKS = Table(Task, "tasks")
DEPENDENCIES = Table(Dependency, "task_dependencies")
TASK_EVENTS = Table(TaskEvent, "task_events")
PULSES = Table(Pulse, "pulses")
SESSIONS = Table(Session, "sessions")
HELP_REQUESTS = Table(HelpRequest, "help_requests")
MESSAGES = Table(Message, "messages")
CHRONICLE = Table(ChronicleEntry, "chronicle")
MEMORIES = Table(Memory, "memories")

_TABLES: dict[str, Table[Any]] = {
    table.name: table
    for table in (
        PROJECTS,
        SOULS,
        AGENTS,
        TASKS,
        DEPENDENCIES,
        TASK_EVENTS,
        PULSES,
        SESSIONS,
        HELP_REQUESTS,
        MESSAGES,
        CHRONICLE,
        MEMORIES,
    )
}


def record_of(entity: str, image: str) -> Any:
    """Return the record that the change log keeps as *image*."""
    return _TABLES[entity].of_image(image)
