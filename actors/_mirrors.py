"""Brings a project's files up to the database: renders what changed, replaces whole files.

A mirror is called by its path in the project's folder, and its name says what it shows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import attrs

from ..storage import US, Change, Project, PulseState, Reads, TaskStatus
from . import _mirror
from ._home import Scope
from ._mirror_files import MirrorFiles, Restored
from ._working_notes import last_occasion, occasions, put_away, put_away_late

R = TypeVar("R")

DAY_US = 86_400 * US
BOARD, STORY = "KANBAN.md", "CHRONICLE.md"
NEWEST_CLOSED = 50
"""Of the cards that are done, and of those that are archived, the board shows so many."""
NEWEST_ENTRIES = 500
"""Of a story, and of what an agent learned: they grow for ever, and each change writes them anew.

With `NEWEST_RESULTS` it keeps files far below `MAX_BYTES`.
"""
NEWEST_RESULTS = 5_000
"""Of a day."""

_TOUCHED = {
    "projects": (BOARD, STORY),
    "tasks": (BOARD,),
    "task_dependencies": (BOARD,),
    "chronicle": (STORY,),
}
"""The mirrors that a change of a table is seen in; those of agents and days beside."""


@attrs.define
class Mirrors:
    """The files of one project.  Runs in a worker thread, in one read transaction at a time."""

    scope: Scope
    project_id: str
    _files: MirrorFiles = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._files = MirrorFiles(self.scope.path, self.scope.archive)

    def render_all(self, reads: Reads) -> int:
        """Write every file whose text is not as it should be; return the change they show.

        Raises:
            OSError: some cannot be written; the others are right.
        """
        agents = reads.agents(self.project_id)
        names = [BOARD, STORY]
        for agent in agents:
            names += [_notes(agent.id, "learned.md"), _notes(agent.id, "history.jsonl")]
        seq = self._put(reads, names + self._days_to_write(reads))
        for agent in agents:
            occasion = last_occasion(reads, agent.id)
            if occasion is not None:
                put_away_late(self.scope, occasion)
        return seq

    def render(self, reads: Reads, after: int, *, check: bool = False) -> int:
        """Write the files that the changes since number *after* touch; return what they show.

        Args:
            reads: what they are made of.
            after: what they show now.
            check: whether to look after the others too.

        Raises:
            OSError: some cannot be written; the others are right.
        """
        changes = reads.touched(self.project_id, after)
        names = {name for change in changes for name in _touched(change)}
        if check:
            names.update(self._files.lost())
        seq = self._put(reads, sorted(names))
        for occasion in occasions(reads, changes):
            put_away(self.scope, occasion)
        return seq

    def take_restored(self) -> list[Restored]:
        """Return what others had changed, and is right again, since the last call."""
        return self._files.take_restored()

    def _put(self, reads: Reads, names: Iterable[str]) -> int:
        epoch, seq = reads.epoch(), reads.last_seq()
        failures = []
        for name in names:
            try:
                self._files.put(name, self._body(reads, name), epoch=epoch, seq=seq)
            except OSError as failure:
                failures.append(failure)
        if failures:
            raise failures[0]
        return seq

    def _body(self, reads: Reads, name: str) -> str:
        match name.split("/"):
            case ["KANBAN.md"]:
                return _mirror.kanban(_view(reads, reads.project(self.project_id)))
            case ["CHRONICLE.md"]:
                project = reads.project(self.project_id)
                entries, earlier = _newest(reads.chronicle(project.id, NEWEST_ENTRIES + 1))
                return _mirror.chronicle(project, entries, earlier=earlier)
            case ["agents", soul, "learned.md"]:
                agent_id = f"{soul}:{self.project_id}"
                memories, earlier = _newest(reads.memories(agent_id, NEWEST_ENTRIES + 1))
                titles = _titles(reads, (memory.task_id for memory in memories))
                return _mirror.learned(memories, titles, earlier=earlier)
            case ["agents", soul, "history.jsonl"]:
                return _mirror.history(reads.messages(f"{soul}:{self.project_id}"))
            case _:
                start = _midnight(date.fromisoformat(name[len("daily/") : -len(".md")]))
                found = reads.results_between(
                    self.project_id, start, start + DAY_US, NEWEST_RESULTS + 1
                )
                results, earlier = _newest(found, NEWEST_RESULTS)
                return _mirror.daily(results, earlier=earlier)

    def _days_to_write(self, reads: Reads) -> list[str]:
        """Return the days that a crash may have left behind: the last one written, and later.

        And those in between that are not there, or not as they were written.
        """
        epoch, days = reads.epoch(), list(self._days(reads))
        seals = {day: self._files.look(_daily(day)) for day in days}
        written = [day for day, seal in seals.items() if seal is not None and seal.epoch == epoch]
        newest = max(written, default=date.min) - timedelta(days=bool(written))
        return [_daily(day) for day in days if day >= newest or day not in written]

    def _days(self, reads: Reads) -> Iterator[date]:
        """Yield the days on which attempts were begun."""
        at = reads.next_pulse_at(self.project_id, 0)
        while at is not None:
            yield _day(at)
            at = reads.next_pulse_at(self.project_id, _midnight(_day(at)) + DAY_US)


def _view(reads: Reads, project: Project) -> _mirror.BoardView:
    return _mirror.BoardView(
        project,
        reads.open_tasks(project.id),
        reads.waits(project.id),
        done=_closed(reads, project.id, TaskStatus.DONE),
        archived=_closed(reads, project.id, TaskStatus.ARCHIVED),
    )


def _closed(reads: Reads, project_id: str, status: TaskStatus) -> _mirror.Closed:
    newest = reads.newest_closed(project_id, status, NEWEST_CLOSED)
    more = len(newest) == NEWEST_CLOSED
    return _mirror.Closed(reads.count_tasks(project_id, status) if more else len(newest), newest)


def _touched(change: Change) -> tuple[str, ...]:
    """Return the names of the mirrors that a change is seen in."""
    if change.entity in _TOUCHED:
        return _TOUCHED[change.entity]
    if change.entity not in ("agents", "memories", "messages", "pulses") or change.after is None:
        return ()
    row: dict[str, Any] = json.loads(change.after)
    if change.entity == "agents":
        # A new one may find files of a namesake whom a restored backup does not know.
        names = ("learned.md", "history.jsonl") if row["version"] == 1 else ()
        return tuple(_notes(row["id"], name) for name in names)
    if change.entity == "memories":
        return (_notes(row["agent_id"], "learned.md"),)
    if change.entity == "messages":
        return (_notes(row["to_agent"], "history.jsonl"),)
    ended = row["state"] == PulseState.ENDED.value
    return (_daily(_day(row["started_at"])),) if ended else ()


def _newest(found: Sequence[R], most: int = NEWEST_ENTRIES) -> tuple[Sequence[R], bool]:
    """Return the last *most* of what was found, and whether there are others."""
    return found[-most:], len(found) > most


def _titles(reads: Reads, task_ids: Iterable[str | None]) -> dict[str, str]:
    tasks = (reads.find_task(id_) for id_ in {id_ for id_ in task_ids if id_ is not None})
    return {task.id: task.title for task in tasks if task is not None}


def _notes(agent_id: str, name: str) -> str:
    return f"agents/{agent_id.partition(':')[0]}/{name}"


def _daily(day: date) -> str:
    return f"daily/{day}.md"


def _day(at_us: int) -> date:
    return datetime.fromtimestamp(at_us / US, UTC).date()


def _midnight(day: date) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * US
