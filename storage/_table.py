"""A record's row: static SQL and the two conversions, made once from the record's fields."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from enum import Enum
from json.encoder import encode_basestring
from operator import attrgetter
from typing import Any, Generic, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

import attrs

from ._errors import Invalid, NotFound
from ._insert import Insert
from ._records import (
    Agent,
    Budget,
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
    TaskOwner,
)

R = TypeVar("R")


def _dump_list(value: tuple[str, ...]) -> str:
    return json.dumps(list(value), ensure_ascii=False)


def _load_list(value: str) -> tuple[str, ...]:
    return () if value == "[]" else tuple(json.loads(value))


_Conversion: TypeAlias = Callable[[Any], Any]


def _conversions(hint: Any) -> tuple[_Conversion, _Conversion] | None:
    """Return how values of a field become cells and cells values; None where they are the same."""
    if get_origin(hint) is tuple:
        return _dump_list, _load_list
    options = [option for option in get_args(hint) or (hint,) if option is not type(None)]
    if len(options) == 1 and isinstance(options[0], type):
        (kind,) = options
        if issubclass(kind, Enum):
            # Looked up, which is four times as fast as to call the class.
            return attrgetter("value"), {member.value: member for member in kind}.__getitem__
        if kind is bool:
            return int, bool
        if kind is float:
            return float, float  # the column would make it one, and the log must agree
    return None


class Table(Generic[R]):
    """How records of one class are kept.  The key is always the column `id`.

    sqlite-utils' `insert` and `upsert` cost ten to thirty times as much as these statements.
    """

    def __init__(self, record: type[R], name: str, noun: str | None = None) -> None:
        """*noun* is what a record is called, where its class is called otherwise."""
        hints = get_type_hints(record)
        fields = [field.name for field in attrs.fields(record)]  # type: ignore[arg-type]
        self.record = record
        self.name = name
        self._noun = noun or record.__name__.lower()
        self.columns = ", ".join(fields)
        self._fields = fields
        self._added = {
            field.name: field.default
            for field in attrs.fields(record)  # type: ignore[arg-type]
            if field.default is not attrs.NOTHING
        }
        """What a column has in rows that are older than it."""
        self._cells = attrgetter(*fields)
        # Most fields are kept as they are: only the others are touched.
        found = [(place, _conversions(hints[field])) for place, field in enumerate(fields)]
        self._dumps = [(place, how[0]) for place, how in found if how is not None]
        self._loads = [(place, how[1]) for place, how in found if how is not None]
        self._object = "{" + ", ".join(f'"{field}": %s' for field in fields) + "}"
        updates = ", ".join(f"{field} = excluded.{field}" for field in fields if field != "id")
        marks = ", ".join("?" * len(fields))
        self.upsert = (
            f"INSERT INTO {name}({self.columns}) VALUES({marks})"
            f" ON CONFLICT(id) DO UPDATE SET {updates}"
        )
        self.rows = Insert.into(name, fields)
        self.insert = self.rows.one
        self.select = f"SELECT {self.columns} FROM {name}"  # noqa: S608
        self.delete = f"DELETE FROM {name} WHERE id = ?"  # noqa: S608
        self._by_id = f"{self.select} WHERE id = ?"

    def has(self, field: str) -> bool:
        """Whether its records have this field."""
        return field in self._fields

    def row(self, record: R) -> list[Any]:
        """Return the cells of *record*, in the order of `columns`."""
        cells = list(self._cells(record))
        for place, dump in self._dumps:
            if cells[place] is not None:
                cells[place] = dump(cells[place])
        return cells

    def image(self, row: list[Any]) -> str:
        """Return a row as the JSON object that the change log keeps."""
        # json.dumps takes four times as long over a row.
        return self._object % tuple(
            [
                encode_basestring(cell)
                if isinstance(cell, str)
                else ("null" if cell is None else cell)
                for cell in row
            ]
        )

    def row_of_image(self, image: str) -> list[Any]:
        """Return the cells of what `image` returned, perhaps before the table had all columns."""
        cells: dict[str, Any] = {**self._added, **json.loads(image)}
        return [cells.get(field) for field in self._fields]

    def of_image(self, image: str) -> R:
        """Make the record of what `image` returned."""
        return self.load(tuple(self.row_of_image(image)))

    def load(self, row: tuple[Any, ...]) -> R:
        """Make the record of a row that was selected with `select`."""
        cells = list(row)
        for place, load in self._loads:
            if cells[place] is not None:
                cells[place] = load(cells[place])
        return self.record(*cells)

    def missing(self, id_: str) -> NotFound:
        """Return the refusal that there is no record with this id."""
        details: dict[str, Any] = {f"{self._noun}_id": id_}
        return NotFound(f"there is no {self._noun} {id_!r}", **details)

    def all(self, connection: sqlite3.Connection, where: str, *args: object) -> list[R]:
        """Return the records that `select` + *where* finds."""
        return [self.load(row) for row in connection.execute(f"{self.select} {where}", args)]

    def first(self, connection: sqlite3.Connection, where: str, *args: object) -> R | None:
        """Return the first record that `select` + *where* finds."""
        row = connection.execute(f"{self.select} {where} LIMIT 1", args).fetchone()
        return None if row is None else self.load(row)

    def get(self, connection: sqlite3.Connection, id_: str) -> R | None:
        """Return the record with this id."""
        row = connection.execute(self._by_id, (id_,)).fetchone()
        return None if row is None else self.load(row)


PROJECTS = Table(Project, "projects")
SOULS = Table(Soul, "souls")
AGENTS = Table(Agent, "agents")
TASKS = Table(Task, "tasks")
TASK_OWNERS = Table(TaskOwner, "tasks", noun="task")
DEPENDENCIES = Table(Dependency, "task_dependencies")
TASK_EVENTS = Table(TaskEvent, "task_events")
PULSES = Table(Pulse, "pulses")
SESSIONS = Table(Session, "sessions")
HELP_REQUESTS = Table(HelpRequest, "help_requests")
MESSAGES = Table(Message, "messages")
CHRONICLE = Table(ChronicleEntry, "chronicle")
MEMORIES = Table(Memory, "memories")
BUDGETS = Table(Budget, "budgets")

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
        BUDGETS,
    )
}


ENTITIES = tuple(_TABLES)
"""What the change log calls the tables."""


def project_tables() -> list[Table[Any]]:
    """Return the tables whose rows are of a project, those that refer to others before them."""
    return [table for table in reversed(_TABLES.values()) if table.has("project_id")]


def table_named(entity: str) -> Table[Any]:
    """Return the table that the change log calls *entity*.

    Raises:
        Invalid: there is none.
    """
    table = _TABLES.get(entity)
    if table is None:
        raise Invalid(f"the change log names a table {entity!r} that this program does not know")
    return table


def record_of(entity: str, image: str) -> Any:
    """Return the record that the change log keeps as *image*."""
    return _TABLES[entity].of_image(image)
