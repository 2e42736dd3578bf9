"""The board: the actor of one project through which its changes go, and which keeps its mirrors.

Whoever has an answer from the board finds the change in the files: an answer is held back until
the mirrors show it.  Many changes that come together share one rendering.
"""

from __future__ import annotations

import logging

import attrs
import trio

from ..storage import MissionError, Reads, sweep_staged
from ..supervisor import Actor, Context, Deferred
from ._commit import Commit
from ._mirrors import Mirrors
from ._mission import Mission

log = logging.getLogger("mission_control.board")

MIRROR_RETRY_S = 1.0
MIRROR_FAILURES = (OSError, MissionError)
"""Of files or reads: they must not take the project's agents down with them."""


@attrs.frozen
class Touched:
    """Something of the project was committed: see that the mirrors show it."""


class Board(Actor[Commit | Touched]):
    """Owns KANBAN.md, CHRONICLE.md, daily/ and the notes of one project."""

    ctx: Context[Commit | Touched]

    def __init__(self, mission: Mission, project_id: str) -> None:
        self._mission = mission
        self._project_id = project_id
        self._scope = mission.home.scope(project_id)
        self._mirrors = Mirrors(mission.home, project_id)
        self._shown = 0
        """Number of the newest change that the files show."""
        self._failing = False
        self._stale = trio.Event()
        self._progress = trio.Event()

    async def started(self) -> None:
        """Make the folders and bring every file up to date."""
        base_id = self._mission.reads.project(self._project_id).base_id
        try:
            await trio.to_thread.run_sync(self._prepare, base_id)
            self._shown = await self._mission.reads.elsewhere(self._mirrors.render_all)
        except MIRROR_FAILURES as error:
            self._note_failure(error)
            self._stale.set()
        self.ctx.start_soon(self._keep_mirrors)

    def _prepare(self, base_id: str | None) -> None:
        base = self._mission.home.scope(base_id) if base_id is not None else None
        self._scope.make(base)
        for folder in (self._scope.path, self._scope.daily, *self._scope.notes()):
            sweep_staged(folder)

    def receive(self, message: Commit | Touched) -> None:
        """Begin a commit, or note that there is something to show."""
        match message:
            case Commit():
                self.ctx.start_soon(self._commit, message, self.ctx.defer())
            case Touched():
                self._stale.set()

    async def _commit(self, commit: Commit, reply: Deferred) -> None:
        try:
            result = await self._mission.store.write(commit.command, by=commit.by, key=commit.key)
            seq = self._mission.reads.last_seq()
        except Exception as error:  # noqa: BLE001 - the asker's, bug or refusal; not the board's
            reply.fail(error)
            return
        await self._until_shown(seq)
        reply.answer(result)

    async def _until_shown(self, seq: int) -> None:
        # Files that cannot be written must not hold up the board: the database is right.
        while self._shown < seq and not self._failing:
            self._stale.set()
            await self._progress.wait()

    async def _keep_mirrors(self) -> None:
        while True:
            await self._stale.wait()
            self._stale = trio.Event()
            try:
                self._shown = await self._mission.reads.elsewhere(self._render)
            except MIRROR_FAILURES as error:
                self._note_failure(error)
                self._release()
                await trio.sleep(MIRROR_RETRY_S)
                self._stale.set()
            else:
                self._failing = False
                self._release()

    def _render(self, reads: Reads) -> int:
        """Write what has changed; after a failure everything, since nobody knows how far it got."""
        if self._failing:
            self._scope.make()
            return self._mirrors.render_all(reads)
        return self._mirrors.render(reads, self._shown)

    def _note_failure(self, error: Exception) -> None:
        if not self._failing:
            log.warning("the files of project %s are out of date: %s", self._project_id, error)
        self._failing = True

    def _release(self) -> None:
        progress, self._progress = self._progress, trio.Event()
        progress.set()
