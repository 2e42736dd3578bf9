"""A board as it was not long ago: the present one, with what was changed since then taken back.

Replay would begin at the first change, and so read the whole archive for a look at this morning.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._records import Change
from .._table import DEPENDENCIES, PROJECTS, TASKS, Table
from ._log import covered
from ._marks import retention_seq
from ._segment import lines_about, read_segment
from ._state import State

BOARD: tuple[Table[Any], ...] = (PROJECTS, TASKS, DEPENDENCIES)

# The list is written out, not bound: only then is the partial index used.
BOARD_CHANGES = (
    "SELECT seq, project_id, kind, entity, entity_id, actor, at, after FROM changes"
    " WHERE project_id = ? AND seq > ? AND seq <= ?"
    " AND entity IN ('projects', 'tasks', 'task_dependencies') ORDER BY seq"
)
_END = 1 << 62


def take_back(connection: sqlite3.Connection, archive: Path, project_id: str, until: int) -> State:
    """Return what a board was after change *until*, which the table must have, or the one before.

    The archive is read backwards, no further than to what has to be put back.

    Raises:
        LogGap, LogDamaged: the log no longer tells.
    """
    images = {table.name: _present(connection, table, project_id) for table in BOARD}
    lost: set[tuple[str, str]] = set()
    seen: set[tuple[str, str]] = set()
    for row in connection.execute(BOARD_CHANGES, [project_id, until, _END]):
        change = Change(*row)
        row_of = (change.entity, change.entity_id)
        if row_of not in seen:
            seen.add(row_of)
            images[change.entity].pop(change.entity_id, None)
            if not _begins(change):
                lost.add(row_of)
    before = _newest_first(connection, archive, project_id, until)
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


def _newest_first(
    connection: sqlite3.Connection, archive: Path, project_id: str, until: int
) -> Iterator[Change]:
    archived = retention_seq(connection)
    for row in connection.execute(f"{BOARD_CHANGES} DESC", [project_id, archived, until]):
        yield Change(*row)
    mine = lines_about(project_id, [table.name for table in BOARD])
    for segment in reversed(list(covered(connection, archived))):
        yield from reversed(list(read_segment(archive, segment, wanted=mine)))
