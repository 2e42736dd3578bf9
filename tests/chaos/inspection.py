"""Looks at what a killed sidecar left, as a coroner does: on a copy, and without its help."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from log_tables import images_in, images_of
from mission_control.actors import Home
from mission_control.actors import _mirror as texts
from mission_control.actors._seal import seal_of, unsealed
from mission_control.storage import Change, TaskStatus, known_migrations, open_writer
from mission_control.storage._table import CHRONICLE, MESSAGES, PROJECTS, TASKS
from mission_control.storage.history import State, fold

from .ledger import Ledger
from .steps import AGENT, PROJECT

FOUND_BY = {
    "mission.task.create": "SELECT title FROM tasks",
    "mission.control.log_event": "SELECT thought FROM task_events WHERE kind = 'thought'",
    "mission.control.update_chronicle": "SELECT summary FROM chronicle",
    "mission.agent.message": "SELECT text FROM messages",
}
"""Where the key of a step is found, once, if the step happened."""


def inspect(home: Home, ledger: Ledger, *, settled: bool = False) -> list[str]:
    """Return all that is wrong; the home stays as it is.

    With *settled*, the mirrors must show the last change, and not only one that there was.
    """
    if not home.database.exists():
        return ["lost: the database"] if ledger.answers else []
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "a.db"
        for end in ("", "-wal"):
            source = Path(f"{home.database}{end}")
            if source.exists():
                shutil.copy(source, f"{copy}{end}")  # with its mode, or it is complained of
        with closing(open_writer(copy)) as connection:
            return list(_problems(home, ledger, connection, settled=settled))


def _problems(
    home: Home, ledger: Ledger, connection: sqlite3.Connection, *, settled: bool
) -> Iterator[str]:
    yield from ledger.quarrels
    (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
    if verdict != "ok":
        yield f"damaged: {verdict}"
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    if schema < known_migrations()[-1].number:  # killed while its tables were being made
        if ledger.answers:
            yield "lost: the tables"
        return
    changes = _log(connection)
    numbers = [change.seq for change in changes]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"a gap in the log: {len(numbers)} changes, the last is number {numbers[-1]}"
    replayed, kept = images_in(fold(changes)), images_of(connection)
    if differing := [name for name in kept if replayed[name] != kept[name]]:
        yield f"the tables are not what the log says: {', '.join(differing)}"
    yield from _lost_or_doubled(ledger, connection)
    yield from _wrong_cards(ledger, connection)
    yield from _wrong_mirrors(home, ledger, changes, settled=settled)


def _log(connection: sqlite3.Connection) -> list[Change]:
    rows = connection.execute(
        "SELECT seq, project_id, kind, entity, entity_id, actor, at, after FROM changes"
        " ORDER BY seq"
    )
    return [Change(*row) for row in rows]


def _lost_or_doubled(ledger: Ledger, connection: sqlite3.Connection) -> Iterator[str]:
    for method, query in FOUND_BY.items():
        found = Counter(row[0] for row in connection.execute(query))
        for key, step in ledger.steps.items():
            if step.method != method:
                continue
            if found[key] > 1:
                yield f"doubled: {key} happened {found[key]} times"
            if key in ledger.answers and not found[key]:
                yield f"lost: {key} was acknowledged"
            if key in ledger.refused and found[key]:
                yield f"half done: {key} was refused"


def _wrong_cards(ledger: Ledger, connection: sqlite3.Connection) -> Iterator[str]:
    """Compare the versions: each write to a card counts one."""
    rows = dict(connection.execute("SELECT id, version FROM tasks").fetchall())
    sure = ledger.writes_to_cards()
    perhaps = ledger.writes_to_cards({step.key for step in ledger.unknown})
    for key, card in ledger.cards.items():
        version, least = rows.get(card, 0), 1 + sure[card]
        if version and version < least:
            yield f"lost: a write to {key}, which has version {version} and not {least}"
        if version > least + perhaps[card]:
            yield f"doubled: a write to {key}, which has version {version} and not {least}"


def _wrong_mirrors(
    home: Home, ledger: Ledger, changes: list[Change], *, settled: bool
) -> Iterator[str]:
    scope = home.scope(PROJECT)
    notes = scope.agent("shuri") / "history.jsonl"
    for path in (scope.kanban, scope.chronicle, notes):
        if not path.exists():
            continue
        raw = path.read_bytes()
        seal = seal_of(raw)
        if seal is None:
            yield f"torn: {path.name} is not whole"
        elif seal.seq > len(changes):
            yield f"ahead: {path.name} shows change {seal.seq} of {len(changes)}"
        elif unsealed(raw.decode()) != _expected(
            path.name, fold(changes if settled else changes[: seal.seq])
        ):
            yield f"wrong: {path.name} is not what change {seal.seq} had made it"
    shown = scope.kanban.read_text("utf-8", "replace") if scope.kanban.exists() else ""
    for key, card in ledger.cards.items():
        if card not in shown:
            yield f"behind: {key} was acknowledged before the board showed it"


def _expected(name: str, state: State) -> str:
    project = state.get(PROJECTS, PROJECT)
    if project is None:
        return "no project"
    match name:
        case "KANBAN.md":
            cards = [task for task in state.all(TASKS) if task.status is not TaskStatus.DONE]
            cards.sort(key=lambda task: (task.status, task.priority, task.created_at, task.id))
            return texts.kanban(texts.BoardView(project, cards))
        case "CHRONICLE.md":
            return texts.chronicle(project, state.all(CHRONICLE))
        case _:
            return texts.history([m for m in state.all(MESSAGES) if m.to_agent == AGENT])
