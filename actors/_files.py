"""The actor in whose tasks a project's files are worked on.

File locks are a table (:class:`~..storage.files.FileLocks`), and each is held by a task of this
actor.  So they belong to the project: when that is stopped, archived or deleted, whoever waits for
a lock is told, what has begun is finished, and then nothing of it is open or locked any more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import attrs
import trio

from ..storage import Conflict, ProjectState
from ..storage.files import Files
from ..supervisor import Actor, Context, Deferred, Exit
from ._mirror_files import make_folder
from ._mission import Mission

R = TypeVar("R")


def files_name(project_id: str) -> str:
    """Under which the actor of a project's files is registered."""
    return f"files/{project_id}"


@attrs.frozen
class UseFiles:
    """Run an operation, unless its asker goes away before it has its locks."""

    use: Callable[[Files], Awaitable[Any]]
    leash: trio.CancelScope = attrs.field(factory=trio.CancelScope, eq=False)


class ProjectFiles(Actor[UseFiles]):
    """Runs the file operations of one project, many at once."""

    ctx: Context[UseFiles]

    def __init__(self, mission: Mission, project_id: str) -> None:
        self._files = mission.files
        self._project_id = project_id

    def receive(self, message: UseFiles) -> None:
        """Begin an operation; it waits for its locks beside the others."""
        self.ctx.start_soon(self._use, message, self.ctx.defer())

    async def _use(self, message: UseFiles, reply: Deferred) -> None:
        with message.leash:
            try:
                answer = await message.use(self._files)
            except Exception as error:  # noqa: BLE001 - the asker's, bug or refusal
                reply.fail(error)
            else:
                reply.answer(answer)

    async def stopped(self, reason: Exit) -> None:  # noqa: ARG002 - as of every actor
        """Forget what was counted: the folder may be another one's next time."""
        self._files.forget(self._project_id)


async def use_files(
    mission: Mission, project_id: str, use: Callable[[Files], Awaitable[R]], *, within_s: float
) -> R:
    """Have *use* run by the project's own actor, and return its answer.

    Cancelled, or late, this takes the operation out of every queue; one that has begun to touch
    the disk is finished all the same.

    Raises:
        NotFound: there is no such project.
        Conflict: it is archived.
        MissionError: what the operation raised, or Unavailable or Deadline.
    """
    if mission.system.whereis(files_name(project_id)) is None:
        # It starts, or is not to run, or there is no such project.
        _require_active(mission, project_id)
    message = UseFiles(use)
    try:
        answer: R = await mission.ask(files_name(project_id), message, timeout_s=within_s)
    finally:
        message.leash.cancel()
    return answer


async def make_notes_folder(mission: Mission, project_id: str, path: str) -> None:
    """Make the folder that *path*, of an agent's notes, is in: nobody but the service may."""
    match path.split("/"):
        case ["agents", soul, _, *_] if mission.reads.has_agent(f"{soul}:{project_id}"):
            scope = mission.home.scope(project_id)
            make = partial(make_folder, scope.agent(soul), below=scope.path)
            await trio.to_thread.run_sync(make)
        case _:
            pass


def _require_active(mission: Mission, project_id: str) -> None:
    if mission.reads.project(project_id).state is ProjectState.ARCHIVED:
        raise Conflict(f"project {project_id!r} is archived: restore it first")
