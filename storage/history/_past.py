"""A project's board as it was after some change, rebuilt from what the log says of that project."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import attrs

from .._errors import Conflict, Invalid, NotFound
from .._records import Project, Task
from .._table import DEPENDENCIES, PROJECTS, TASKS
from ._cursor import Cursor
from ._log import seq_at
from ._lookback import Step, is_nearer, replay, take_back
from ._marks import epoch_began_at, epoch_of, last_seq, older_ends
from ._moment import UNIX, Moment
from ._state import State


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
    connection: sqlite3.Connection,
    archive: Path,
    project_id: str,
    moment: Moment,
    *,
    step: Step = lambda: None,
) -> PastBoard:
    """Rebuild the board of a project as it was at *moment*.

    It goes back from the present board, or forth from the first change, whichever has less of the
    *archive* to read.  Blocking: for a worker thread, in one read transaction.  Whoever may want
    it to end early gives a *step* that raises.

    Raises:
        NotFound: the project did not exist then.
        Conflict: the moment is of a history that was given up for a backup.
        Invalid: the cursor is after the end of the log.
        LogGap, LogDamaged: the log no longer tells.
    """
    place = _place(connection, archive, moment)
    rebuild = take_back if is_nearer(connection, place.seq) else replay
    state = rebuild(connection, archive, project_id, place.seq, step)
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
        case int():
            place = Cursor(epoch, seq_at(connection, archive, moment))
            _refuse_given_up(connection, moment, place)
            return place
        case Cursor(other, seq) if any(
            end.epoch == other and seq <= end.seq for end in older_ends(connection)
        ):
            return Cursor(epoch, seq)
        case Cursor(other, _) if other != epoch:
            raise Conflict(
                f"the cursor {moment} is of another history than this one ({epoch}): a backup was"
                " restored since; name a time before that one was made, or one after the restore",
                field="at",
            )
        case Cursor(_, seq) if seq > (end := last_seq(connection)):
            raise Invalid(f"the cursor {moment} is after the end of the log, {end}", field="at")
        case Cursor():
            return moment


def _refuse_given_up(connection: sqlite3.Connection, time_us: int, place: Cursor) -> None:
    """Refuse a time of which the log has nothing, because a restore gave up what happened then."""
    began_at, ends = epoch_began_at(connection), older_ends(connection)
    if not ends or place.seq != ends[-1].seq or time_us >= began_at:
        return
    row = connection.execute("SELECT at FROM changes WHERE seq = ?", [place.seq]).fetchone()
    if row is None or row[0] < time_us:
        raise Conflict(
            f"what happened until {_iso(time_us)} was given up when a backup was restored at"
            f" {_iso(began_at)}: the last change before it that was kept is {place}; name that"
            " cursor to see the board after it",
            field="at",
        )


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
