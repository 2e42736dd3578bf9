"""Projects and the souls they are staffed with."""

from __future__ import annotations

from typing import ClassVar

import attrs

from .._errors import Conflict, Invalid, Unavailable
from .._ids import slug
from .._records import Deletion, Project, ProjectState, Soul
from .._registry import register
from .._table import AGENTS, PROJECTS, PULSES, SOULS
from .._transaction import Command, Transaction
from ._slots import copy_agent
from ._waits import call_all_back

PROJECT_UPDATED = "project_updated"
MAX_NAME_CHARS = 200


@register
@attrs.frozen
class InitProject(Command[Project]):
    """Begin a project.  Its id is made from the name, with a number where it is taken.

    One with a base begins with the same agents.
    """

    name: str
    base_id: str | None = None
    taken: tuple[str, ...] = ()
    """Folders that exist: an id is never used again while its folder stands."""

    RESULT: ClassVar[type] = Project

    def apply(self, tx: Transaction) -> Project:
        """Refuses a name without a letter or digit, and an unknown base."""
        name = self.name.strip()
        if not name or len(name) > MAX_NAME_CHARS or not slug(name):
            raise Invalid(
                f"project_name must have a letter or digit (a-z, 0-9) and at most {MAX_NAME_CHARS}"
                " characters",
                field="project_name",
            )
        if self.base_id is not None:
            require_kept(tx, self.base_id)
        project = Project(
            self._free_id(tx, slug(name)), name, ProjectState.ACTIVE, self.base_id, tx.at, tx.at
        )
        tx.insert(PROJECTS, project, PROJECT_UPDATED)
        for agent in tx.all(AGENTS, "WHERE project_id = ? ORDER BY slot", self.base_id):
            copy_agent(tx, agent, project.id)
        return project

    def _free_id(self, tx: Transaction, wanted: str) -> str:
        id_, number = wanted, 1
        while id_ in self.taken or tx.find(PROJECTS, "WHERE id = ?", id_) is not None:
            number += 1
            id_ = f"{wanted}-{number}"
        return id_


@register
@attrs.frozen
class RenameProject(Command[Project]):
    """Change what a project is called; its id and folder stay."""

    project_id: str
    name: str

    RESULT: ClassVar[type] = Project

    def apply(self, tx: Transaction) -> Project:
        """Refuses an empty name."""
        name = self.name.strip()
        if not name or len(name) > MAX_NAME_CHARS:
            raise Invalid(
                f"project_name must have 1 to {MAX_NAME_CHARS} characters", field="project_name"
            )
        return tx.put(PROJECTS, require_kept(tx, self.project_id), PROJECT_UPDATED, name=name)


@register
@attrs.frozen
class SetProjectState(Command[Project]):
    """Archive a project, or bring it back."""

    project_id: str
    state: ProjectState

    RESULT: ClassVar[type] = Project

    def apply(self, tx: Transaction) -> Project:
        """Does nothing where the project is so already; refuses one that is being deleted."""
        project = require_kept(tx, self.project_id)
        if project.state is self.state:
            return project
        if self.state is ProjectState.ARCHIVED:
            require_rest(tx, project.id)
        else:
            for agent in tx.all(AGENTS, "WHERE project_id = ?", project.id):
                call_all_back(tx, agent)
        return tx.put(PROJECTS, project, PROJECT_UPDATED, state=self.state)


@register
@attrs.frozen
class BeginDeletion(Command[Project]):
    """Mark a project as being deleted: from here on it is only ever deleted further."""

    project_id: str
    how: Deletion

    RESULT: ClassVar[type] = Project

    def apply(self, tx: Transaction) -> Project:
        """Does nothing where it is marked already; its time of update tells since when."""
        project = tx.get(PROJECTS, self.project_id)
        if project.deleting is not None:
            return project
        require_rest(tx, project.id)
        return tx.put(
            PROJECTS, project, PROJECT_UPDATED, state=ProjectState.ARCHIVED, deleting=self.how
        )


@register
@attrs.frozen
class InstallSoul(Command[Soul]):
    """Record which SOUL.md a soul has; a new text is a new version."""

    soul: str
    sha256: str

    RESULT: ClassVar[type] = Soul

    def apply(self, tx: Transaction) -> Soul:
        """Does nothing where this text is the installed one."""
        return install_soul(tx, self.soul, self.sha256)


def install_soul(tx: Transaction, soul: str, sha256: str) -> Soul:
    """Record the checksum of a soul's text, if it is another one than before."""
    known = tx.find(SOULS, "WHERE id = ?", soul)
    if known is None:
        return tx.insert(SOULS, Soul(soul, sha256, tx.at), "soul_updated")
    if known.sha256 == sha256:
        return known
    return tx.put(SOULS, known, "soul_updated", sha256=sha256)


def require_rest(tx: Transaction, project_id: str) -> None:
    """Refuse where attempts go on: whoever stops a project could not reach them."""
    # Said twice, so that the index of attempts which are open is used.
    where = "WHERE project_id = ? AND state <> 'ended' AND state = 'running'"
    running = tx.find(PULSES, where, project_id)
    if running is not None:
        raise Unavailable(
            f"an attempt of {running.agent_id} may still run and cannot be reached:"
            " try again later",
            retry_after_ms=5000,
        )


def require_kept(tx: Transaction, project_id: str) -> Project:
    """Return the project, refusing one that is being deleted."""
    project = tx.get(PROJECTS, project_id)
    if project.deleting is not None:
        raise Conflict(f"project {project_id!r} is being deleted", project_id=project_id)
    return project


def require_active(tx: Transaction, project_id: str) -> Project:
    """Return the project, refusing one that is archived or being deleted."""
    project = require_kept(tx, project_id)
    if project.state is ProjectState.ARCHIVED:
        raise Conflict(
            f"project {project_id!r} is archived: restore it first", project_id=project_id
        )
    return project
