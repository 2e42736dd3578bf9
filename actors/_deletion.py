"""Projects are deleted in steps that can be repeated: a kill at any of them is made up for.

Its runs are ended, and it is marked; from there on there is no way back.  Then its sessions are
ended in their host, its folder is packed and removed, and its rows are erased.  Whatever is marked
when we start, or when we look again, is deleted further.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import attrs
import trio

from ..storage import (
    OURSELVES,
    US,
    Deletion,
    MissionError,
    Project,
    Unavailable,
    pack_folder,
    remove_folder,
)
from ..storage.commands import BeginDeletion, EraseProject
from ..supervisor import Actor, Context, Deferred
from ._home import Home
from ._mission import Mission
from ._orchestrator import NAME as ORCHESTRATOR
from ._orchestrator import Archive
from ._session import session_order

log = logging.getLogger("mission_control.deletions")

NAME = "deletions"
LOOK_AGAIN_S = 60.0
"""After this time what could not be ended, a full disk say, is tried once more."""
STOPPED_WITHIN_S = 120.0
"""Each of a project's runs is given its time to end, all of them at once."""


@attrs.frozen
class Delete:
    """Delete a project; answered with `Deleted` when nothing is left of it."""

    project_id: str
    how: Deletion
    by: str
    key: str | None


@attrs.frozen
class LookAgain:
    """Go on with every deletion that was begun."""


@attrs.frozen
class Deleted:
    """A project that was, and what is left of it."""

    project: Project
    archive: Path | None
    """Its folder, packed."""
    sessions_left: tuple[str, ...]
    """Keys of the conversations that their host has kept: it was away, or would not end them."""


Message: TypeAlias = Delete | LookAgain


class Deletions(Actor[Message]):
    """Sees every deletion that was begun through to its end, one at a time."""

    ctx: Context[Message]

    def __init__(self, mission: Mission) -> None:
        self._mission = mission
        self._turn = trio.Lock()

    async def started(self) -> None:
        """Go on with what an earlier life of ours has begun."""
        self.ctx.every(LOOK_AGAIN_S, LookAgain())
        self.ctx.start_soon(self._go_on)

    def receive(self, message: Message) -> None:
        """Begin it, beside whatever else goes on."""
        match message:
            case Delete():
                self.ctx.start_soon(self._delete, message, self.ctx.defer())
            case LookAgain():
                self.ctx.start_soon(self._go_on)

    async def _delete(self, delete: Delete, reply: Deferred) -> None:
        begin = BeginDeletion(delete.project_id, delete.how)
        try:
            put_away = Archive(begin, delete.by, delete.key)
            project: Project = await self._mission.ask(
                ORCHESTRATOR, put_away, timeout_s=STOPPED_WITHIN_S
            )
            async with self._turn:
                reply.answer(await self._finish(project))
        except MissionError as refusal:
            reply.fail(refusal)
        except OSError as error:
            reply.fail(_unfinished(delete.project_id, error))

    async def _go_on(self) -> None:
        async with self._turn:
            for project in self._mission.reads.projects():
                if project.deleting is None:
                    continue
                try:
                    await self._finish(project)
                except (MissionError, OSError) as error:
                    log.warning("%s", _unfinished(project.id, error))

    async def _finish(self, project: Project) -> Deleted:
        """Delete what is left of *project*, if it is still this one that has the id.

        Raises:
            OSError: its folder cannot be packed or removed.
            MissionError: storage is away.
        """
        home = self._mission.home
        archive = archive_of(home, project)
        if not self._is_marked(project):
            return Deleted(project, _if_there(archive), ())
        left = await self._end_sessions(project)
        folder = home.scope(project.id).path
        await trio.to_thread.run_sync(_put_away, folder, archive)
        erase = EraseProject(project.id)
        while not await self._mission.store.write(erase, by=OURSELVES):
            pass
        return Deleted(project, _if_there(archive), left)

    def _is_marked(self, project: Project) -> bool:
        return project in self._mission.reads.projects()

    async def _end_sessions(self, project: Project) -> tuple[str, ...]:
        """End the conversations of its agents; return the keys of those that were not."""
        mission, left = self._mission, []
        for agent in mission.reads.agents(project.id):
            if mission.reads.session(agent.id) is None:
                continue
            order = session_order(mission, agent)
            try:
                await mission.runner.end_session(order)
            except MissionError as refusal:
                log.warning("session %s is left in its host: %s", order.session_key, refusal)
                left.append(order.session_key)
        return tuple(left)


def archive_of(home: Home, project: Project) -> Path | None:
    """Return the file that the folder of a project that is deleted goes to; None: it is purged."""
    if project.deleting is Deletion.PURGE:
        return None
    # To the microsecond: another of this name may be deleted soon after.
    since = datetime.fromtimestamp(project.updated_at / US, UTC)
    return home.packed_projects / f"{project.id}-{since:%Y%m%dT%H%M%S.%fZ}.tar.gz"


def _put_away(folder: Path, archive: Path | None) -> None:
    if archive is not None and folder.exists():
        pack_folder(folder, archive)
    remove_folder(folder)


def _if_there(archive: Path | None) -> Path | None:
    return archive if archive is not None and archive.exists() else None


def _unfinished(project_id: str, error: Exception) -> Unavailable:
    return Unavailable(
        f"project {project_id!r} is stopped, and the rest of its deletion failed: {error};"
        f" it is tried again every {LOOK_AGAIN_S:.0f} s",
        retry_after_ms=round(LOOK_AGAIN_S * 1000),
    )
