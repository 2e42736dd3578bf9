"""How far agents reach: into their own project and tasks, and only while an attempt is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from mission_control.storage import Change

Row = dict[str, Any]


@attrs.define
class Reach:
    """Looks at everything that is written in an agent's name."""

    fail: Callable[[str], None]
    _idle: dict[str, Change] = attrs.field(factory=dict)
    """What was written by agents that had no attempt, as far as the log was read."""

    def begun(self, agent_id: str) -> None:
        """Excuse what the command that begins an attempt has written before its row."""
        self._idle.pop(agent_id, None)

    def written(self, change: Change, task: Row | None, after: Row | None, *, busy: bool) -> None:
        """Look at a change.

        Args:
            change: by whomever.
            task: that it changes or tells of, as it was before.
            after: the row that is written.
            busy: whether an attempt of its author is open.
        """
        agent_id = change.actor
        soul, colon, project = agent_id.partition(":")
        if not colon:
            return
        if change.project_id != project:
            self.fail(f"{agent_id} wrote into project {change.project_id}")
        if task is not None and task["assignee"] != soul and not _is_freed(task, after):
            self.fail(f"{agent_id} wrote to a task of {task['assignee']}: {change.entity}")
        if not busy:
            self._idle[agent_id] = change

    def compare(self) -> None:
        """Look whether anything was written without an attempt, after a commit."""
        for agent_id, change in self._idle.items():
            self.fail(f"{agent_id} wrote although it has no attempt: {change}")
        self._idle.clear()


def _is_freed(task: Row, after: Row | None) -> bool:
    """Whether a task may go on at once, and no more is done to it: what it waited for is done."""
    if after is None or after.get("not_before") is not None:
        return False
    changed = {name for name, value in task.items() if after.get(name) != value}
    return changed <= {"not_before", "version", "updated_at"}
