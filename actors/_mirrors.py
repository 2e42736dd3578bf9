"""Brings a project's files up to the database: renders what changed, replaces whole files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import attrs

from ..storage import US, Change, PulseKind, PulseState, Reads, read_plain, replace_file
from . import _mirror
from ._home import Home
from ._runner import OutcomeKind

DAY_US = 86_400 * US
FAR_FUTURE = 1 << 62


@attrs.define
class Mirrors:
    """The files of one project.  Runs in a worker thread, in one read transaction at a time."""

    home: Home
    project_id: str

    def render_all(self, reads: Reads) -> int:
        """Write every file whose text is not as it should be; return the change they show."""
        self._board(reads)
        self._story(reads)
        for agent in reads.agents(self.project_id):
            self._learned(reads, agent.id)
            self._history(reads, agent.id)
        self._newest_days(reads)
        return reads.last_seq()

    def render(self, reads: Reads, after: int) -> int:
        """Write the files that the changes since number *after* touch; return what they show."""
        changes = reads.touched(self.project_id, after)
        entities = {change.entity for change in changes}
        if entities & {"projects", "tasks", "task_dependencies"}:
            self._board(reads)
        if entities & {"projects", "chronicle"}:
            self._story(reads)
        for agent_id in _agents(changes, "memories", "agent_id"):
            self._learned(reads, agent_id)
        for agent_id in _agents(changes, "messages", "to_agent"):
            self._history(reads, agent_id)
        self._daily(reads, changes)
        self._archive_notes(changes)
        return reads.last_seq()

    def _board(self, reads: Reads) -> None:
        project = reads.project(self.project_id)
        tasks, bonds = reads.board(project.id), reads.dependencies(project.id)
        _put(self.home.scope(project.id).kanban, _mirror.kanban(project, tasks, bonds))

    def _story(self, reads: Reads) -> None:
        project = reads.project(self.project_id)
        text = _mirror.chronicle(project, reads.chronicle(project.id))
        _put(self.home.scope(project.id).chronicle, text)

    def _learned(self, reads: Reads, agent_id: str) -> None:
        text = _mirror.learned(reads.memories(agent_id), self._titles(reads))
        _put(self._notes(agent_id) / "learned.md", text)

    def _history(self, reads: Reads, agent_id: str) -> None:
        _put(self._notes(agent_id) / "history.jsonl", _mirror.history(reads.messages(agent_id)))

    def _daily(self, reads: Reads, changes: Iterable[Change]) -> None:
        ended = [
            after
            for after in _images(changes, "pulses")
            if after["state"] == PulseState.ENDED.value
        ]
        for day in {_day(after["started_at"]) for after in ended}:
            self._write_day(reads, day)

    def _newest_days(self, reads: Reads) -> None:
        """Write the days that a crash may have left behind: the last one written, and later."""
        written = max(_days_in(self.home.scope(self.project_id).daily), default=None)
        start = 0 if written is None else _midnight(written) - DAY_US
        pulses = reads.pulses_between(self.project_id, start, FAR_FUTURE)
        for day in {_day(pulse.started_at) for pulse in pulses if pulse.ended_at is not None}:
            self._write_day(reads, day)

    def _write_day(self, reads: Reads, day: date) -> None:
        start = _midnight(day)
        pulses = reads.pulses_between(self.project_id, start, start + DAY_US)
        text = _mirror.daily(pulses, self._titles(reads))
        _put(self.home.scope(self.project_id).daily / f"{day}.md", text)

    def _archive_notes(self, changes: Iterable[Change]) -> None:
        """Put working notes away once their task has been distilled, or the chance was missed."""
        for after in _images(changes, "memories"):
            self._archive(after["agent_id"], after["id"])
        for after in _images(changes, "pulses"):
            distilled = after["kind"] == PulseKind.DISTILL.value and after["outcome"] not in (
                None,
                OutcomeKind.NOT_STARTED.value,
            )
            if distilled:
                self._archive(after["agent_id"], after["id"])

    def _archive(self, agent_id: str, why_id: str) -> None:
        notes = self._notes(agent_id) / "working.md"
        soul = agent_id.partition(":")[0]
        kept = self.home.scope(self.project_id).archive / f"{soul}-{why_id}.md"
        # lstat and rename: a link that an agent left there is moved, never followed.
        if not kept.exists() and notes.is_file() and notes.lstat().st_size:
            notes.rename(kept)

    def _notes(self, agent_id: str) -> Path:
        return self.home.scope(self.project_id).agent(agent_id.partition(":")[0])

    def _titles(self, reads: Reads) -> dict[str, str]:
        return {task.id: task.title for task in reads.board(self.project_id)}


def _images(changes: Iterable[Change], entity: str) -> list[dict[str, Any]]:
    return [json.loads(c.after) for c in changes if c.entity == entity and c.after is not None]


def _agents(changes: Iterable[Change], entity: str, field: str) -> list[str]:
    return sorted({str(after[field]) for after in _images(changes, entity)})


def _days_in(folder: Path) -> Iterator[date]:
    for path in folder.glob("*.md"):
        with suppress(ValueError):  # somebody else's file
            yield date.fromisoformat(path.stem)


def _day(at_us: int) -> date:
    return datetime.fromtimestamp(at_us / US, UTC).date()


def _midnight(day: date) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * US


def _put(path: Path, text: str) -> None:
    # Somebody may have left there what is no text, or no file at all.
    wanted = text.encode()
    if read_plain(path, len(wanted) + 1) == wanted:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text, mode=0o644)
