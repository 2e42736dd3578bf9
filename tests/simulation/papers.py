"""What agents write down: every file must hold what the log says that somebody made it hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

Row = dict[str, Any]
Digest = str | None
"""SHA-256 of a file; None of none."""

CANARY = b"nobody's business\n"
"""What stands outside of all projects, and stays so."""

ABSENT = frozenset[Digest]({None})
PUT_AWAY = frozenset[Digest]({None, hashlib.sha256(b"").hexdigest()})
"""What becomes of working notes when a task is done; the service does that, unannounced."""


@attrs.define
class Papers:
    """The files of agents, as notes in the log tell of them.

    A change is noted before it is made, so a crash leaves it made or not: until it is acknowledged,
    or the next note says what it found, the file may hold the one or the other.
    """

    projects: Path
    outside: Path
    """A folder that agents know the way to."""
    fail: Callable[[str], None]
    _may_hold: dict[tuple[str, str], frozenset[Digest]] = attrs.field(factory=dict)
    """By project and path."""

    def __attrs_post_init__(self) -> None:
        self.outside.mkdir(parents=True)
        (self.outside / "canary.txt").write_bytes(CANARY)

    def noted(self, event: Row) -> None:
        """Follow a note."""
        told = json.loads(event["action"])
        project_id, path = event["project_id"], told["path"]
        if ": failed, " in event["thought"] or told["kind"] != "file":
            return
        self._require_own(event, [path, told.get("target", path)])
        before, after = told.get("before"), told.get("after")
        if before not in self._of(project_id, path):
            self.fail(f"{path} of {project_id} was changed, and nobody had noted that: {told}")
        if told["operation"] == "move":
            target = told["target"]
            there = self._of(project_id, target)
            self._may_hold[project_id, target] = there | {after}
            after = None
        self._may_hold[project_id, path] = frozenset({before, after})

    def made(self, project_id: str, told: Row) -> None:
        """Follow an acknowledgement, unless somebody has noted another change since."""
        place = project_id, told["path"]
        becomes = told["sha256"] if told["operation"] != "move" else None
        if self._may_hold.get(place) == frozenset[Digest]({told["before_sha256"], becomes}):
            self._may_hold[place] = frozenset({becomes})

    def look(self, project_ids: Iterable[str]) -> None:
        """Compare all that lies there with what may."""
        if [path.read_bytes() for path in self.outside.iterdir()] != [CANARY]:
            self.fail("something outside of all projects was changed")
        for project_id in project_ids:
            found = dict(self._read(project_id))
            known = {path for project, path in self._may_hold if project == project_id}
            for path in sorted(known | found.keys()):
                text = found.get(path)
                digest = None if text is None else hashlib.sha256(text).hexdigest()
                if digest not in self._of(project_id, path):
                    self.fail(f"{path} of {project_id} holds what nobody had noted: {text!r}")
                lines = [] if text is None else text.splitlines()
                if len(set(lines)) != len(lines):
                    self.fail(f"{path} of {project_id} was written twice: {text!r}")

    def begin_again(self, project_ids: Iterable[str]) -> None:
        """Take what lies there as it is: the log that told of it is another one now."""
        self._may_hold.clear()
        for project_id in project_ids:
            for path, text in self._read(project_id):
                digest = hashlib.sha256(text).hexdigest()
                self._may_hold[project_id, path] = frozenset({digest})

    def forget(self, project_id: str) -> None:
        """Drop what is known of a project that is gone."""
        for place in [place for place in self._may_hold if place[0] == project_id]:
            del self._may_hold[place]

    def _of(self, project_id: str, path: str) -> frozenset[Digest]:
        held = self._may_hold.get((project_id, path), ABSENT)
        return held | PUT_AWAY if path.endswith("/working.md") else held

    def _require_own(self, event: Row, paths: list[str]) -> None:
        agent_id = event["agent_id"]
        if agent_id is None:
            return
        notes = f"agents/{agent_id.partition(':')[0]}/working.md"
        for path in paths:
            if not path.startswith("src/") and path != notes:
                self.fail(f"{agent_id} changed {path}")

    def _read(self, project_id: str) -> Iterator[tuple[str, bytes]]:
        """Return what agents can write; links are not followed."""
        scope = self.projects / project_id
        for path in [*scope.glob("src/**/*"), *scope.glob("agents/*/working.md")]:
            if path.is_file() and not path.is_symlink():
                yield str(path.relative_to(scope)), path.read_bytes()
