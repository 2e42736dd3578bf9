"""The storage actor: the only way to write, and the handle that others write through."""

from __future__ import annotations

import random
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import attrs
import trio

from ..supervisor import Actor, ActorCrashed, ActorDead, AskTimeout, Context, System
from ._checkpoints import Checkpoints
from ._clock import Clock
from ._condition import StorageCondition
from ._connection import usable
from ._errors import Deadline, MissionError, Unavailable
from ._group import StorageFailed, Write
from ._lease import Fence
from ._transaction import Command
from ._writer import Writer
from .schema import open_migrated

R = TypeVar("R")

STORAGE = "storage"
"""Under which the actor is registered in its system."""

MAX_PENDING = 4096
"""Commands in the writer's hands; further ones wait in the mailbox, and then their senders do."""

ENOUGH_ROOM = MAX_PENDING // 2
"""The mailbox is opened again when so many are left."""

ANSWER_WITHIN_S = 30.0


class StorageActor(Actor[Write]):
    """Owns the writer.  It crashes when the file does, and is started again on the same file."""

    ctx: Context[Write]

    def __init__(
        self,
        path: Path,
        on_commit: Callable[[], None],
        condition: StorageCondition | None = None,
        before_migration: Callable[[], object] | None = None,
    ) -> None:
        """*before_migration* saves what there is, before the schema of a file in use is changed."""
        self._path = path
        self._before_migration = before_migration
        self._on_commit = on_commit
        self._condition = StorageCondition() if condition is None else condition
        self._writer: Writer
        self._failure: StorageFailed | None = None
        self._failed = trio.Event()
        self._full = False

    async def started(self) -> None:
        """Open the file and migrate it.

        Raises:
            SchemaMismatch: the file is not ours, or newer than this program.
            DatabaseUnusable: it cannot be written.
        """
        try:
            connection = await trio.to_thread.run_sync(_open, self._path, self._before_migration)
        except MissionError as refusal:
            self._condition.failure = refusal.message
            raise
        self._writer = Writer(
            connection,
            on_commit=self._on_commit,
            on_failure=self._note_failure,
            on_room=self._note_room,
            condition=self._condition,
            checkpoints=Checkpoints(self._path),
        )
        self._writer.start()
        self._condition.failure = None
        self.ctx.start_soon(self._keep_writer)

    def receive(self, message: Write) -> None:
        """Hand a command to the writer, which answers its asker after the commit."""
        self._writer.submit(message, self.ctx.defer())
        if self._writer.pending >= MAX_PENDING and not self._full:
            self._full = True
            self.ctx.self.suspend()

    def _note_room(self) -> None:
        if self._full and self._writer.pending <= ENOUGH_ROOM:
            self._full = False
            self.ctx.self.resume()

    def _note_failure(self, failure: StorageFailed) -> None:
        self._condition.failure = failure.message
        self._failure = failure
        self._failed.set()

    async def _keep_writer(self) -> None:
        """Crash the actor with its writer; end the writer with the actor, however that ends."""
        try:
            # Not by a message: it would stand behind all the commands that wait.
            await self._failed.wait()
            if self._failure is not None:
                raise self._failure
        finally:
            # Not in `stopped`, which a kill leaves out.  The next incarnation is not begun before
            # this is over: what was accepted is written, and the file is closed.
            with trio.CancelScope(shield=True):
                await self._writer.close()


def _open(path: Path, before_migration: Callable[[], object] | None) -> sqlite3.Connection:
    with usable(path), ExitStack() as undo:
        connection = open_migrated(path, before=before_migration)
        undo.callback(connection.close)
        connection.execute("INSERT OR IGNORE INTO meta VALUES('epoch', ?)", [secrets.token_hex(6)])
        undo.pop_all()
        return connection


@attrs.frozen
class Store:
    """What other actors hold: writes commands through whichever incarnation is alive."""

    system: System
    clock: Clock
    rng: random.Random = attrs.field(factory=random.Random)
    """For ids, which need not be hard to guess: the system's would give the lock away each time."""
    condition: StorageCondition = attrs.field(factory=StorageCondition)

    async def write(
        self,
        command: Command[R],
        *,
        by: str,
        key: str | None = None,
        fence: Fence | None = None,
    ) -> R:
        """Commit *command* on behalf of *by* and return its result.

        While the storage has much to do, this waits.  Cancelled, it withdraws a command that has
        not been begun; one that has may be committed yet.

        Args:
            command: what to do.
            by: who wants it, for the log.
            key: for idempotency; what was done under it once is not done again.
            fence: for an agent's command: its lease, without which nothing is done.

        Raises:
            MissionError: the command was refused; nothing changed.
            Unavailable, Deadline: it is not known whether it happened; retry with the same *key*.
            Limited: the disk is full; nothing changed.
        """
        ref = self.system.whereis(STORAGE)
        if ref is None or self.condition.failure is not None:
            why = self.condition.failure or "storage is starting"
            raise Unavailable(why, retry_after_ms=1000 if self.condition.failure else 200)
        write = Write(command, self.clock.now_us(), by, self.rng.getrandbits(64), key, fence)
        try:
            result: R = await ref.ask(write, timeout=ANSWER_WITHIN_S)
        except AskTimeout as late:
            raise Deadline("storage did not answer in time", retry_after_ms=1000) from late
        except (ActorDead, ActorCrashed) as gone:
            raise Unavailable("storage is restarting", retry_after_ms=200) from gone
        return result
