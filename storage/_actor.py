"""The storage actor: the only way to write, and the handle that others write through."""

from __future__ import annotations

import random
import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import attrs
import trio

from ..supervisor import (
    Actor,
    ActorCrashed,
    ActorDead,
    AskTimeout,
    Context,
    Exit,
    MailboxFull,
    Reply,
    System,
)
from ._clock import Clock
from ._connection import open_writer
from ._errors import Deadline, Limited, MissionError, Unavailable
from ._migrate import migrate
from ._transaction import Command
from ._writer import StorageFailed, Write, Writer

R = TypeVar("R")

NAME = "storage"
"""Under which the actor is registered in its system."""

MAX_PENDING = 4096
"""Commands in the writer's hands; further ones wait in the mailbox, and then their senders do."""

ANSWER_WITHIN_S = 30.0


@attrs.frozen
class _Failed:
    failure: StorageFailed


class StorageActor(Actor[Write | _Failed]):
    """Owns the writer.  It crashes when the file does, and is started again on the same file."""

    ctx: Context[Write | _Failed]

    def __init__(self, path: Path, on_commit: Callable[[], None]) -> None:
        self._path = path
        self._on_commit = on_commit
        self._writer: Writer | None = None

    async def started(self) -> None:
        """Open the file and migrate it.

        Raises:
            SchemaMismatch: the file is not ours, or newer than this program.
        """
        connection = await trio.to_thread.run_sync(_open, self._path)
        self._writer = Writer(
            connection,
            on_commit=self._on_commit,
            on_failure=lambda failure: self.ctx.self.tell(_Failed(failure)),
        )
        self._writer.start()

    async def receive(self, message: Write | _Failed) -> Reply | None:
        """Hand a command to the writer, which answers its asker after the commit."""
        match message:
            case _Failed(failure):
                raise failure
            case Write():
                writer = self._writer
                if writer is None or writer.pending >= MAX_PENDING:
                    return Reply(error=Limited("too many writes at once", retry_after_ms=100))
                writer.submit(message, self.ctx.defer())
                return None

    async def stopped(self, reason: Exit) -> None:  # noqa: ARG002 - however it ended
        """Write what was accepted, and close the file."""
        if self._writer is not None:
            with trio.CancelScope(shield=True):
                await self._writer.close()


class DatabaseUnusable(Unavailable):
    """The database file cannot be opened for writing; the message says why."""


def _open(path: Path) -> sqlite3.Connection:
    try:
        return _open_and_migrate(path)
    except sqlite3.Error as error:
        raise DatabaseUnusable(
            f"cannot use the database {path} ({error}): check that the disk is writable and not"
            " full; if the file is damaged, move it away with its -wal and -shm and restore a copy"
        ) from error


def _open_and_migrate(path: Path) -> sqlite3.Connection:
    connection = open_writer(path)
    try:
        migrate(connection)
        connection.execute("INSERT OR IGNORE INTO meta VALUES('epoch', ?)", [secrets.token_hex(6)])
    except (MissionError, sqlite3.Error):
        connection.close()
        raise
    return connection


@attrs.frozen
class Store:
    """What other actors hold: writes commands through whichever incarnation is alive."""

    system: System
    clock: Clock
    rng: random.Random = attrs.field(factory=random.SystemRandom)

    async def write(self, command: Command[R], *, by: str, key: str | None = None) -> R:
        """Commit *command* on behalf of *by* and return its result.

        Raises:
            MissionError: the command was refused; nothing changed.
            Unavailable, Deadline: it is not known whether it happened; retry with the same *key*.
            Limited: too many writes at once, or the disk is full.
        """
        ref = self.system.whereis(NAME)
        if ref is None:
            raise Unavailable("storage is starting", retry_after_ms=200)
        write = Write(command, self.clock.now_us(), by, self.rng.randbytes(16), key)
        try:
            result: R = await ref.ask(write, timeout=ANSWER_WITHIN_S)
        except AskTimeout as late:
            raise Deadline("storage did not answer in time", retry_after_ms=1000) from late
        except MailboxFull as full:
            raise Limited("too many writes at once", retry_after_ms=100) from full
        except (ActorDead, ActorCrashed) as gone:
            raise Unavailable("storage is restarting", retry_after_ms=200) from gone
        return result
