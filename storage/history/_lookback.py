"""A board as it was: the present one, with what was changed since then taken back.

Replay would begin at the first change, and so read the whole archive for a look at this morning.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from .._records import Change
from .._table import DEPENDENCIES, PROJECTS, TASKS, Table
from ._log import covered
from ._marks import retention_seq
from ._segment import lines_about, read_segment
from ._state import State, fold

BOARD: tuple[Table[Any], ...] = (PROJECTS, TASKS, DEPENDENCIES)

# The list is written out, not bound: only then is the partial index used.
BOARD_CHANGES = (
    "SELECT seq, project_id, kind, entity, entity_id, actor, at, after FROM changes"
    " WHERE project_id = ? AND seq > ? AND seq <= ?"
    " AND entity IN ('projects', 'tasks', 'task_dependencies') ORDER BY seq"
)
_END = 1 << 62

Step: TypeAlias = Callable[[], object]
"""Called before each file of the archive, of which one takes a second at most; may raise."""


def take_back(
    connection: sqlite3.Connection, archive: Path, project_id: str, until: int, step: Step
) -> State:
    """Return what a board was after change *until*.

    What the archive has of later changes is read, and of earlier ones, backwards, no more than
    what has to be put back.

    Raises:
        LogGap, LogDamaged: the log no longer tells.
    """
    images = {table.name: _present(connection, table, project_id) for table in BOARD}
    lost: set[tuple[str, str]] = set()
    seen: set[tuple[str, str]] = set()
    for change in _since(connection, archive, project_id, until, step):
        row_of = (change.entity, change.entity_id)
        if row_of not in seen:
            seen.add(row_of)
            images[change.entity].pop(change.entity_id, None)
            if not _begins(change):
                lost.add(row_of)
    before = _newest_first(connection, archive, project_id, until, step)
    while lost and (earlier := next(before, None)) is not None:
        row_of = (earlier.entity, earlier.entity_id)
        if row_of in lost:
            lost.remove(row_of)
            if earlier.after is not None:
                images[earlier.entity][earlier.entity_id] = earlier.after
    return State(until, images)


def _present(connection: sqlite3.Connection, table: Table[Any], project_id: str) -> dict[str, str]:
    whose = "id" if table is PROJECTS else "project_id"
    rows = connection.execute(
        f"SELECT id, {table.columns} FROM {table.name} WHERE {whose} = ?",  # noqa: S608
        [project_id],
    )
    return {id_: table.image(cells) for id_, *cells in rows}


def _begins(change: Change) -> bool:
    """Whether there was no such row before: nothing of it is to be looked for."""
    if change.after is None:
        return False
    return change.entity == DEPENDENCIES.name or json.loads(change.after)["version"] == 1


def _since(
    connection: sqlite3.Connection, archive: Path, project_id: str, until: int, step: Step
) -> Iterator[Change]:
    archived = retention_seq(connection)
    for segment in covered(connection, archived if until < archived else 0):
        if segment.last > until:
            step()
            for change in read_segment(archive, segment, wanted=_about(project_id)):
                if until < change.seq <= archived:
                    yield change
    for row in connection.execute(BOARD_CHANGES, [project_id, max(until, archived), _END]):
        yield Change(*row)


def _newest_first(
    connection: sqlite3.Connection, archive: Path, project_id: str, until: int, step: Step
) -> Iterator[Change]:
    archived = retention_seq(connection)
    for row in connection.execute(f"{BOARD_CHANGES} DESC", [project_id, archived, until]):
        yield Change(*row)
    latest = min(until, archived)
    for segment in reversed(list(covered(connection, latest))):
        step()
        for change in reversed(list(read_segment(archive, segment, wanted=_about(project_id)))):
            if change.seq <= latest:
                yield change


def replay(
    connection: sqlite3.Connection, archive: Path, project_id: str, until: int, step: Step
) -> State:
    """Return the same, from the archive alone, which must have change *until*.

    Raises:
        LogGap, LogDamaged: it does not tell.
    """
    state = State()
    for segment in covered(connection, until):
        step()
        found = read_segment(archive, segment, wanted=_about(project_id))
        state = fold((change for change in found if change.seq <= until), state)
    return state


def is_nearer(connection: sqlite3.Connection, until: int) -> bool:
    """Whether :func:`take_back` has fewer files to read than :func:`replay`, as far as is known."""
    archived = retention_seq(connection)
    if until >= archived:
        return True
    files = list(covered(connection, archived))
    return sum(file.last > until for file in files) < sum(file.first <= until for file in files)


def _about(project_id: str) -> Callable[[bytes], object]:
    return lines_about(project_id, [table.name for table in BOARD])
