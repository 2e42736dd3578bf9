"""What becomes of projects: at rest nothing of them runs, and of a deleted one nothing is left."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from mission_control.actors import Home
from mission_control.storage import Change

Row = dict[str, Any]
Rows = dict[str, Row]


@attrs.define
class Estates:
    """The projects of a world, and their folders."""

    home: Home
    fail: Callable[[str], None]
    on_disk: bool = True
    """Whether folders are to be as the log says; not so, while the log of the past is read."""
    ownerless: frozenset[str] = frozenset()
    """Folders that a restored backup does not know, and which it leaves as they are."""
    projects: Rows = attrs.field(factory=dict)

    @property
    def kept(self) -> list[str]:
        """The ids of those that are not being deleted."""
        return [id_ for id_, project in self.projects.items() if project["deleting"] is None]

    @property
    def active(self) -> list[str]:
        """The ids of those whose agents are woken."""
        return [id_ for id_, project in self.projects.items() if project["state"] == "active"]

    def followed(self, change: Change, after: Row | None) -> None:
        """Follow a project's row."""
        project = self.projects.pop(change.entity_id, None)
        if after is not None:
            self.projects[change.entity_id] = after
        elif project is not None and self.on_disk:
            self._require_gone(project)

    def _require_gone(self, project: Row) -> None:
        id_ = project["id"]
        if self.home.scope(id_).path.exists():
            self.fail(f"project {id_} is deleted, and its folder is still there")
        packed = sorted(self.home.packed_projects.glob(f"{id_}-*.tar.gz"))
        if project["deleting"] == "archive" and not (packed and _is_whole(packed[-1])):
            self.fail(f"project {id_} is deleted, and no archive of its folder was kept")

    def require_rest(self, pulses: Iterable[Row]) -> None:
        """Look whether nothing runs in projects that are put away, after a commit."""
        for pulse in pulses:
            project = self.projects.get(pulse["project_id"])
            if project is None or (pulse["state"] == "running" and project["state"] != "active"):
                self.fail(f"a pulse of a project that is put away, {project}, is open: {pulse}")

    def require_no_rows(self, rows: Iterable[Row]) -> None:
        """Look whether all rows that were kept are those of a project that is there."""
        for row in rows:
            if row["project_id"] not in self.projects:
                self.fail(f"its project is deleted, and it is still there: {row}")

    def require_no_folders(self) -> None:
        """Look whether all folders are those of projects that are there."""
        for name in self.home.taken():
            if name not in self.projects and name not in self.ownerless:
                self.fail(f"no project has the folder {name}")


def _is_whole(archive: Any) -> bool:
    with tarfile.open(archive) as packed:
        return any(name.endswith("/KANBAN.md") for name in packed.getnames())
