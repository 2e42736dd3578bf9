"""Everything that is read: through connections that cannot write and never wait for the writer.

A point read takes well under 0.1 ms, less than a hop to a thread, and is made where it is asked
for; what may return many rows is for :meth:`Reads.elsewhere`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import trio

from ._log import LogQuestions
from ._pool import SIZE, Pool
from ._projects import ProjectQuestions
from ._pulses import PulseQuestions
from ._tasks import TaskQuestions
from ._words import WordQuestions

T = TypeVar("T")


class Reads(LogQuestions, ProjectQuestions, TaskQuestions, PulseQuestions, WordQuestions):
    """All questions to the database.

    A connection stays with the file that it was opened on.  Whoever moves another file into its
    place, as a restore does, closes this first.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection | None = None) -> None:
        """Ask through *connection*, which stays its giver's, or through connections of our own."""
        super().__init__(path, connection)
        self._pool = Pool(path)
        self._threads = trio.CapacityLimiter(SIZE)
        self._filing = trio.CapacityLimiter(SIZE)
        self._leisure = trio.CapacityLimiter(1)

    def close(self) -> None:
        """Give the connections back; a later question opens others."""
        self._pool.close()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def elsewhere(self, question: Callable[[Reads], T]) -> T:
        """Ask *question* in a worker thread, all of it in one read transaction.

        What it sees is one state of the database: the newest when it began.  It must not return
        a cursor, or anything else that goes on reading.  Not cancelled once it has begun, unless
        it looks for that itself.

        Raises:
            Unavailable: the database is not there yet, or cannot be read.
        """
        return await trio.to_thread.run_sync(self._ask, question, limiter=self._threads)

    async def into_files(self, question: Callable[[Reads], T]) -> T:
        """As :meth:`elsewhere`, for what writes files meanwhile: only others of its kind wait.

        Raises:
            Unavailable: the database is not there yet, or cannot be read.
        """
        return await trio.to_thread.run_sync(self._ask, question, limiter=self._filing)

    async def at_leisure(self, question: Callable[[Reads], T]) -> T:
        """As :meth:`elsewhere`, for what may take seconds: one at a time, in nobody's way.

        Raises:
            Unavailable: the database is not there yet, or cannot be read.
        """
        return await trio.to_thread.run_sync(self._ask, question, limiter=self._leisure)

    def _ask(self, question: Callable[[Reads], T]) -> T:
        with self._pool.snapshot() as connection:
            return question(Reads(self._path, connection))
