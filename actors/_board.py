"""The board: the actor of one project through which its changes go, and which keeps its mirrors.

Whoever has an answer from the board finds the change in the files: an answer is held back until
the mirrors show it, or cannot.
"""

from __future__ import annotations

import attrs

from ..supervisor import Actor, Context, Deferred
from ._commit import Commit
from ._mirror_keeper import MirrorKeeper
from ._mission import Mission


@attrs.frozen
class Touched:
    """Something of the project was committed: see that the mirrors show it."""

    check: bool = False
    """Look after those as well that nothing was committed of: others may have changed them."""


class Board(Actor[Commit | Touched]):
    """Owns KANBAN.md, CHRONICLE.md, daily/ and the notes of one project."""

    ctx: Context[Commit | Touched]

    def __init__(self, mission: Mission, project_id: str) -> None:
        self._mission = mission
        self._mirrors = MirrorKeeper(mission, project_id)

    async def started(self) -> None:
        """Make the folders and bring every file up to date."""
        await self._mirrors.begin()
        self.ctx.start_soon(self._mirrors.run)
        self.ctx.start_soon(self._mirrors.report)

    def receive(self, message: Commit | Touched) -> None:
        """Begin a commit, or note that there is something to show."""
        match message:
            case Commit():
                self.ctx.start_soon(self._commit, message, self.ctx.defer())
            case Touched(check):
                self._mirrors.touch(check=check)

    async def _commit(self, commit: Commit, reply: Deferred) -> None:
        try:
            result = await self._mission.store.write(
                commit.command, by=commit.by, key=commit.key, fence=commit.fence
            )
            seq = self._mission.reads.last_seq()
        except Exception as error:  # noqa: BLE001 - the asker's, bug or refusal; not the board's
            reply.fail(error)
            return
        await self._mirrors.until_shown(seq)
        reply.answer(result)
