"""Changes of files in the thought stream, noted before they are made, under the agent's lease."""

from __future__ import annotations

from contextlib import suppress

import attrs

from ..storage import Conflict, Fence, MissionError
from ..storage.commands import NoteFileChange, SettleFileChange
from ..storage.files import FileChange
from ._mission import Mission


@attrs.frozen
class FileLedger:
    """Of one request: see :class:`~..storage.files.Ledger`."""

    mission: Mission
    project_id: str
    by: str
    request: str
    """Its fingerprint."""
    key: str | None = None
    """Idempotency key."""
    fence: Fence | None = None
    """An attempt that has ended changes no file: its note is refused."""
    agent_id: str | None = None
    task_id: str | None = None

    def recall(self) -> FileChange | None:
        """Return what was noted under the same key; a key whose change failed is free again."""
        if self.key is None:
            return None
        known = self.mission.reads.answered(NoteFileChange, self.key)
        if known is not None and known.request != self.request:
            raise Conflict(
                f"idempotency_key {self.key!r} was used for another request: take a new key",
                field="idempotency_key",
            )
        return known

    async def note(self, change: FileChange) -> None:
        """Commit it, if the agent still holds its lease."""
        key = self.key
        if key is not None and self.recall() is not None:
            key = None  # it was noted before, and not made: what is noted now is that it is tried
        await self.mission.store.write(self._command(change), by=self.by, key=key, fence=self.fence)

    async def note_made(self, change: FileChange) -> None:  # noqa: ARG002 - the key tells which
        """Commit it without the lease, for whoever sends the same key."""
        await self._settle(made=True)

    async def note_failure(self, change: FileChange, failure: MissionError) -> None:
        """Commit it without the lease: that this was tried is true, whatever became of that."""
        why = str(failure.details.get("reason", failure.kind))
        with suppress(MissionError):
            await self.mission.store.write(self._command(change, why), by=self.by)
        await self._settle(made=False)

    async def _settle(self, *, made: bool) -> None:
        if self.key is None:
            return
        with suppress(MissionError):  # who asks again is then answered by a look at the files
            await self.mission.store.write(SettleFileChange(self.key, made), by=self.by)

    def _command(self, change: FileChange, failure: str | None = None) -> NoteFileChange:
        return NoteFileChange(self.project_id, change, self.task_id, self.agent_id, failure)
