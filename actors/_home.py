"""The file-system map: where everything of a home lies (SYSTEM §3)."""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from ..storage import Unavailable, read_plain, replace_file

MAX_SOUL_BYTES = 64 * 1024
MAX_TEMPLATE_BYTES = 128 * 1024


class HomeUnusable(Unavailable):
    """Nothing can be kept there."""


@attrs.frozen
class Scope:
    """A project's folder."""

    path: Path

    @property
    def kanban(self) -> Path:
        """Mirror of the board."""
        return self.path / "KANBAN.md"

    @property
    def chronicle(self) -> Path:
        """Mirror of the story."""
        return self.path / "CHRONICLE.md"

    @property
    def context(self) -> Path:
        """L2: the project's rules, written by people."""
        return self.path / ".context"

    @property
    def template(self) -> Path:
        """The project's own template of the status text, written by people."""
        return self.path / ".template"

    @property
    def src(self) -> Path:
        """Where agents write."""
        return self.path / "src"

    @property
    def daily(self) -> Path:
        """One file a day."""
        return self.path / "daily"

    @property
    def archive(self) -> Path:
        """Working notes of finished tasks."""
        return self.path / "archive"

    def agent(self, soul: str) -> Path:
        """The folder of one agent: SOUL.md, working.md, learned.md, history.jsonl."""
        return self.path / "agents" / soul

    def make(self, base: Scope | None = None) -> None:
        """Make what is missing; a new project has the rules, template and souls of *base*."""
        agents, last = self.path / "agents", self.archive
        agents.mkdir(parents=True, exist_ok=True)
        # Whoever is killed before the last folder is there begins again.
        if base is not None and not last.exists():
            self._copy(base)
        _put_if_missing(self.context, b"")
        for folder in (self.src, self.daily, last):
            folder.mkdir(exist_ok=True)

    def _copy(self, base: Scope) -> None:
        """Begin as the project *base* is; what is there already stays."""
        for folder in base.notes() if (base.path / "agents").is_dir() else ():
            refined = read_plain(folder / "SOUL.md", MAX_SOUL_BYTES)
            _put_if_missing(self.agent(folder.name) / "SOUL.md", refined)
        _put_if_missing(self.template, read_plain(base.template, MAX_TEMPLATE_BYTES))
        if base.context.is_file():
            _put_if_missing(self.context, base.context.read_bytes())

    def notes(self) -> list[Path]:
        """Return the agents' folders that are there."""
        return [folder for folder in (self.path / "agents").iterdir() if folder.is_dir()]


def _put_if_missing(path: Path, text: bytes | None) -> None:
    if text is not None and not path.exists():
        path.parent.mkdir(exist_ok=True)
        replace_file(path, text, mode=0o644)


@attrs.frozen
class Home:
    """All that one sidecar keeps."""

    path: Path

    def make(self) -> None:
        """Make the folder, for its owner only; one that exists stays as it is.

        Raises:
            HomeUnusable: it is no folder, or may not be written.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.projects.mkdir(exist_ok=True)
        except OSError as error:
            raise self._unusable(str(error.strerror)) from error
        if not os.access(self.path, os.R_OK | os.W_OK | os.X_OK):
            raise self._unusable("it may not be written")

    def _unusable(self, why: str) -> HomeUnusable:
        return HomeUnusable(
            f"cannot use the home {self.path} ({why}): choose another with --home, or see that"
            " you may write there"
        )

    @property
    def database(self) -> Path:
        """Written by the storage actor only."""
        return self.path / "mission-control.db"

    @property
    def lock(self) -> Path:
        """Held by the one sidecar of this home."""
        return self.path / "mission-control.lock"

    @property
    def changes(self) -> Path:
        """The archive of the change log: its old parts, which the database has given up."""
        return self.path / "backups" / "mission-control" / "changes"

    @property
    def packed_projects(self) -> Path:
        """The folders of deleted projects, one file each."""
        return self.path / "backups" / "mission-control" / "projects"

    @property
    def template(self) -> Path:
        """The template of the status text of projects that have none of their own."""
        return self.path / "mission-control.template"

    @property
    def token(self) -> Path:
        """The operators' token, mode 0600."""
        return self.path / "mission-control.token"

    @property
    def principals(self) -> Path:
        """Digests of the tokens of everybody else, mode 0600."""
        return self.path / "mission-control.principals.json"

    @property
    def socket(self) -> Path:
        """Where programs of this user connect; its folder is for the owner only."""
        return self.path / "mission-control.run" / "rpc.sock"

    @property
    def restoring(self) -> Path:
        """Is there while a restore has been decided on and not ended."""
        return self.path / "mission-control.restoring"

    @property
    def device(self) -> Path:
        """The key that a Gateway on another host knows us by, mode 0600."""
        return self.path / "mission-control.device.pem"

    @property
    def endpoint(self) -> Path:
        """Where the running sidecar listens, for the command line."""
        return self.path / "mission-control.endpoint"

    def soul(self, soul: str) -> Path:
        """L1: the text of a persona."""
        return self.path / "souls" / soul / "SOUL.md"

    @property
    def projects(self) -> Path:
        """Where the projects' folders are."""
        return self.path / "projects"

    def scope(self, project_id: str) -> Scope:
        """The folder of a project."""
        return Scope(self.projects / project_id)

    def taken(self) -> tuple[str, ...]:
        """Names of project folders that exist."""
        if not self.projects.is_dir():
            return ()
        # No project's name begins with a dot; what does is ours.
        return tuple(sorted(p.name for p in self.projects.iterdir() if p.name[0] != "."))
