"""The board: the actor of one project through which its changes go, and which keeps its mirrors.

Whoever has an answer from the board finds the change in the files: an answer is held back until
the mirrors show it.  Many changes that come together share one rendering.
"""

from __future__ import annotations

import logging

import attrs
import trio

from ..storage import MissionError, sweep_staged
from ..supervisor import Actor, Context, Deferred
from ._commit import Commit
from ._mirrors import Mirrors
from ._mission import Mission

log = logging.getLogger("mission_control.board")

MIRROR_RETRY_S = 1.0


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
        await trio.to_thread.run_sync(self._prepare, base_id)
        self._shown = await self._mission.reads.elsewhere(self._mirrors.render_all)
        self.ctx.start_soon(self._keep_mirrors)

    def _prepare(self, base_id: str | None) -> None:
        base = self._mission.home.scope(base_id) if base_id is not None else None
        self._scope.make(base)
        sweep_staged(self._scope.path)

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
        except MissionError as refusal:
            reply.fail(refusal)
            return
        await self._until_shown(self._mission.reads.last_seq())
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
                self._shown = await self._mission.reads.elsewhere(
                    lambda reads: self._mirrors.render(reads, self._shown)
                )
                self._release(failing=False)
            except OSError as error:
                if not self._failing:
                    log.warning("mirrors of %s are out of date: %s", self._project_id, error)
                self._release(failing=True)
                await trio.sleep(MIRROR_RETRY_S)
                self._stale.set()

    def _release(self, *, failing: bool) -> None:
        self._failing = failing
        progress, self._progress = self._progress, trio.Event()
        progress.set()
