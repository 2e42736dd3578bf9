"""The files that people look at: they show what was acknowledged, and in the end everything."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import attrs

from mission_control.actors import Home
from mission_control.actors._mirrors import Mirrors
from mission_control.actors._seal import unsealed
from mission_control.storage import Reads

BOARD, STORY = "KANBAN.md", "CHRONICLE.md"
TITLE = re.compile(r"(?<=^## \d{4}-\d\d-\d\d) · .*$", re.MULTILINE)
"""In what was learned: of a task that may have gone since, which is no reason to write it anew."""


@attrs.frozen
class Boards:
    """The mirrors of all projects."""

    home: Home
    fail: Callable[[str], None]

    def told(self, task: dict[str, Any]) -> None:
        """Look whether a task that was made is on its board."""
        board = self.home.scope(task["project_id"]).kanban
        if task["title"] not in board.read_text():
            self.fail(f"{task['title']} is acknowledged, and not on the board")

    def stale(self, project_ids: list[str]) -> Iterator[str]:
        """Return the mirrors that do not show what the database holds."""
        with closing(Reads(self.home.database)) as reads:
            for project_id in project_ids:
                for name, body in _mirrors(reads, self.home, project_id):
                    path = self.home.scope(project_id).path / name
                    shown = unsealed(path.read_text()) if path.exists() else ""
                    if TITLE.sub("", shown) != TITLE.sub("", body):
                        yield f"{name} of {project_id}"


def _mirrors(reads: Reads, home: Home, project_id: str) -> Iterator[tuple[str, str]]:
    mirrors = Mirrors(home.scope(project_id), project_id)
    names = [BOARD, STORY]
    for agent in reads.agents(project_id):
        names += [f"agents/{agent.soul}/{name}" for name in ("learned.md", "history.jsonl")]
    for name in names:
        yield name, mirrors._body(reads, name)
