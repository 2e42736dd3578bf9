"""Keeps a project's files as the database is, and tells of what kept them from being so.

Changes that come while files are written share the next writing, so a burst of a thousand makes a
few.  A folder that cannot be written holds up nobody: the database is right, answers go out, and it
is tried again, ever more seldom.
"""

from __future__ import annotations

import logging

import trio

from ..storage import OURSELVES, Deadline, Limited, MissionError, Reads, Unavailable, sweep_staged
from ..storage.commands import NoteMirrors
from ._mirrors import Mirrors
from ._mission import Mission

log = logging.getLogger("mission_control.mirrors")

MIRROR_RETRY_S = 1.0
"""After the first failure, and between any two attempts; doubles with each further failure."""
MIRROR_RETRY_MOST_S = 30.0
MIRROR_FAILURES = (OSError, MissionError)
"""Of files or reads: they must not take the project's agents down with them."""
MAX_REPORTS = 100
"""Waiting to be written to the stream; more are in the log only."""


def retry_delay(failures: int) -> float:
    """Seconds to wait after so many failures in a row, at most `MIRROR_RETRY_MOST_S`."""
    # The exponent is bounded so that a long series cannot overflow a float.
    return min(MIRROR_RETRY_S * 2.0 ** min(failures - 1, 20), MIRROR_RETRY_MOST_S)


class MirrorKeeper:
    """The mirrors of one project, for as long as `run` runs."""

    def __init__(self, mission: Mission, project_id: str) -> None:
        self._mission = mission
        self._project_id = project_id
        self._scope = mission.home.scope(project_id)
        self._mirrors = Mirrors(self._scope, project_id)
        self._shown = 0
        """Number of the newest change that the files show."""
        self._failures = 0
        """In a row."""
        self._check = False
        self._stale = trio.Event()
        self._progress = trio.Event()
        self._to_tell, self._told = trio.open_memory_channel[NoteMirrors](MAX_REPORTS)

    async def begin(self) -> None:
        """Make the folders and bring every file up to date."""
        base_id = self._mission.reads.project(self._project_id).base_id
        try:
            await trio.to_thread.run_sync(self._prepare, base_id)
            self._shown = await self._mission.reads.into_files(self._mirrors.render_all)
        except MIRROR_FAILURES as error:
            self._note_failure(error)
            self._stale.set()
        self._note_restored()

    def touch(self, *, check: bool = False) -> None:
        """There may be something to show; with *check*, also look after what others changed."""
        self._check = self._check or check
        self._stale.set()

    async def until_shown(self, seq: int) -> None:
        """Return when the files show change number *seq*, or cannot be written."""
        while self._shown < seq and not self._failures:
            self._stale.set()
            await self._progress.wait()

    async def run(self) -> None:
        """Write what becomes stale, for ever."""
        while True:
            await self._stale.wait()
            self._stale = trio.Event()
            try:
                self._shown = await self._mission.reads.into_files(self._render)
            except MIRROR_FAILURES as error:
                self._note_failure(error)
            else:
                self._note_success()
            self._note_restored()
            progress, self._progress = self._progress, trio.Event()
            progress.set()
            if self._failures:
                await self._rest()

    async def report(self) -> None:
        """Write to the project's stream what happened to its files, for ever."""
        async for note in self._told:
            await self._write(note)

    def _prepare(self, base_id: str | None) -> None:
        base = self._mission.home.scope(base_id) if base_id is not None else None
        self._scope.make(base)
        agents = [folder for folder in self._scope.notes() if not folder.is_symlink()]
        for folder in (self._scope.path, self._scope.daily, self._scope.archive, *agents):
            sweep_staged(folder)

    def _render(self, reads: Reads) -> int:
        """Write what has changed; after a failure everything, since nobody knows how far it got."""
        if self._failures:
            self._scope.make()
            return self._mirrors.render_all(reads)
        check, self._check = self._check, False
        return self._mirrors.render(reads, self._shown, check=check)

    async def _rest(self) -> None:
        """Wait before the next attempt; something new to show is a reason not to wait long."""
        await trio.sleep(MIRROR_RETRY_S)
        with trio.move_on_after(retry_delay(self._failures) - MIRROR_RETRY_S):
            await self._stale.wait()
        self._stale.set()

    def _note_failure(self, error: Exception) -> None:
        self._failures += 1
        if self._failures == 1:
            self._tell("mirror_failed", f"the project's files are out of date: {error}")

    def _note_success(self) -> None:
        if self._failures:
            self._tell("mirror_healed", "the project's files are up to date again")
        self._failures = 0

    def _note_restored(self) -> None:
        for restored in self._mirrors.take_restored():
            self._tell("mirror_restored", str(restored))

    def _tell(self, kind: str, what: str) -> None:
        log.warning("project %s: %s", self._project_id, what)
        try:
            self._to_tell.send_nowait(NoteMirrors(self._project_id, kind, what))
        except trio.WouldBlock:
            log.warning("project %s: too much to tell of its files", self._project_id)

    async def _write(self, note: NoteMirrors) -> None:
        while True:
            try:
                await self._mission.store.write(note, by=OURSELVES)
            except (Unavailable, Deadline, Limited) as later:
                await trio.sleep((later.retry_after_ms or 1000) / 1000)
            except MissionError as refusal:
                log.warning("cannot be told in project %s: %s", self._project_id, refusal)
                return
            else:
                return
