"""A project's board as it was after some change, rebuilt from what the log says of that project."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import attrs

from .._errors import Conflict, Invalid, NotFound
from .._records import Change, Project, Task
from .._table import DEPENDENCIES, PROJECTS, TASKS
from ._cursor import Cursor
from ._log import covered, seq_at
from ._marks import epoch_of, last_seq, retention_seq
from ._moment import UNIX, Moment
from ._segment import lines_about, read_segment
from ._state import State, fold

_ENTITIES = frozenset({"projects", "tasks", "task_dependencies"})

# The list is written out, not bound: only then is the partial index used.
_TOUCHED = (
    "SELECT seq, project_id, kind, entity, entity_id, actor, at, after FROM changes"
    " WHERE project_id = ? AND seq > ? AND seq <= ?"
    " AND entity IN ('projects', 'tasks', 'task_dependencies') ORDER BY seq"
)


@attrs.frozen
class PastBoard:
    """A board, and the place in the log that it stood at."""

    cursor: Cursor
    project: Project
    tasks: tuple[Task, ...]
    """Column by column, by priority and age."""
    depends_on: dict[str, tuple[str, ...]]
    """Of each task that has any."""


def board_at(
    connection: sqlite3.Connection, archive: Path, project_id: str, moment: Moment
) -> PastBoard:
    """Rebuild the board of a project as it was at *moment*.

    Reads the changes of that board alone from the table, and those segments of the *archive* that
    are older than *moment* as a whole.  Blocking: for a worker thread, in one read transaction.

    Raises:
        NotFound: the project did not exist then.
        Conflict: the cursor is of another history.
        Invalid: the cursor is after the end of the log.
        LogGap, LogDamaged: the log no longer tells.
    """
    place = _place(connection, archive, moment)
    state = fold(_touched(connection, archive, project_id, place.seq))
    project = state.get(PROJECTS, project_id)
    if project is None:
        raise NotFound(
            f"there was no project {project_id!r} {_words(moment)}{_now(connection, project_id)}",
            project_id=project_id,
            field="at",
        )
    tasks = sorted(state.all(TASKS), key=lambda t: (t.status, t.priority, t.created_at, t.id))
    return PastBoard(place, project, tuple(tasks), _bonds(state))


def _place(connection: sqlite3.Connection, archive: Path, moment: Moment) -> Cursor:
    epoch = epoch_of(connection)
    match moment:
        case Cursor(other, _) if other != epoch:
            raise Conflict(
                f"the cursor {moment} is of another history than this one ({epoch}): a backup was"
                " restored since; name a time instead",
                field="at",
            )
        case Cursor(_, seq) if seq > (end := last_seq(connection)):
            raise Invalid(f"the cursor {moment} is after the end of the log, {end}", field="at")
        case Cursor():
            return moment
        case int():
            return Cursor(epoch, seq_at(connection, archive, moment))


def _touched(
    connection: sqlite3.Connection, archive: Path, project_id: str, until: int
) -> Iterator[Change]:
    """Yield the changes of one board up to number *until*, in order."""
    place, wanted = 0, lines_about(project_id, _ENTITIES)
    for segment in covered(connection, min(until, retention_seq(connection))):
        mine = read_segment(archive, segment, wanted=wanted)
        for change in mine:
            if change.seq <= until:
                yield change
        place = segment.last
    for row in connection.execute(_TOUCHED, [project_id, place, until]):
        yield Change(*row)


def _bonds(state: State) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for bond in sorted(state.all(DEPENDENCIES), key=lambda bond: bond.id):
        found[bond.task_id] = (*found.get(bond.task_id, ()), bond.depends_on)
    return found


def _words(moment: Moment) -> str:
    return f"at the cursor {moment}" if isinstance(moment, Cursor) else f"at {_iso(moment)}"


def _now(connection: sqlite3.Connection, project_id: str) -> str:
    project = PROJECTS.get(connection, project_id)
    return (
        ", and there is none now" if project is None else f": it began {_iso(project.created_at)}"
    )


def _iso(at_us: int) -> str:
    return (UNIX + timedelta(microseconds=at_us)).isoformat().replace("+00:00", "Z")
