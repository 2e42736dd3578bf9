"""Task events, written in the ways that are compared; each has them safe on the disk."""

from __future__ import annotations

import json
import queue
import random
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from time import perf_counter, time_ns
from typing import Final

import attrs
import trio

from _actors import quiet_system
from mission_control.storage import (
    STORAGE,
    StorageActor,
    Store,
    TaskEvent,
    Transaction,
    WallClock,
    open_writer,
    uuid7,
)
from mission_control.storage import commands as c
from mission_control.storage._appends import Appends
from mission_control.supervisor import Actor, ChildSpec, Ref, System

WRITERS: Final = 100
GROUP: Final = 100
"""Commands in one transaction of the bare thread."""

WARM_UP: Final = 5
"""Events of each writer before they are timed: a connection begins with nothing in its cache."""

_THOUGHT = "I read the failing test, and think that the fixture closes the connection too early"
_ACTION = "run it alone, with the log on"
_COLUMNS = [field.name for field in attrs.fields(TaskEvent)]
_EVENT = f"INSERT INTO task_events({', '.join(_COLUMNS)}) VALUES({', '.join('?' * len(_COLUMNS))})"
_CHANGE = (
    "INSERT INTO changes(project_id, kind, entity, entity_id, actor, at, after)"
    " VALUES(?, 'thought_logged', 'task_events', ?, 'operator', ?, ?)"
)

Log = Callable[[str], Awaitable[object]]
"""Writes one event of the task with this id, and returns when it is acknowledged."""

_Rows = tuple[tuple[object, ...], tuple[object, ...]]
"""The cells of an event, and of the change that says so."""


@attrs.frozen
class Board:
    """A database of one project, with a task for each writer."""

    path: Path
    project_id: str
    tasks: tuple[str, ...]


async def make_board(path: Path) -> Board:
    """Make the file, and close it again."""
    async with open_store(path) as store:
        project = await store.write(c.InitProject("bench"), by="operator")
        made = [
            await store.write(c.CreateTask(project.id, f"task {n}"), by="operator")
            for n in range(WRITERS)
        ]
    return Board(path, project.id, tuple(task.id for task in made))


@attrs.frozen
class Acknowledged:
    """What the writers saw."""

    rate: float
    """Events a second."""
    waits: list[float]
    """Seconds from the wish to the answer, one for each event."""


class WritingActor(Actor[int]):
    """Logs so many thoughts, each when the one before it was acknowledged."""

    def __init__(self, log: Log, task_id: str, waits: list[float]) -> None:
        self._log = log
        self._task_id = task_id
        self._waits = waits

    async def receive(self, msg: int) -> None:
        for _ in range(msg):
            await timed(self._log, self._task_id, self._waits)


async def timed(log: Log, task_id: str, waits: list[float]) -> None:
    """Write one event, and note how long it took."""
    began = perf_counter()
    await log(task_id)
    waits.append(perf_counter() - began)


async def through_store(board: Board, count: int) -> Acknowledged:
    """A hundred actors write through the storage actor."""
    async with open_store(board.path) as store:
        return await write_with(store.system, board, log_through(store), count)


def log_through(store: Store) -> Log:
    """Return what writes events through *store*."""

    async def log(task_id: str) -> object:
        return await store.write(_command(task_id), by="operator")

    return log


async def hop_each(board: Board, count: int) -> Acknowledged:
    """A hundred actors write with what trio has: a hop to a thread, and a transaction, for each."""
    turn = trio.CapacityLimiter(1)
    with closing(open_writer(board.path)) as connection:

        def commit(task_id: str) -> None:
            _commit_one(connection, _command(task_id))

        async def log(task_id: str) -> object:
            return await trio.to_thread.run_sync(commit, task_id, limiter=turn)

        async with quiet_system() as system:
            return await write_with(system, board, log, count)


async def one_by_one(board: Board, count: int) -> Acknowledged:
    """A hundred actors write through a queue, and a thread that makes a transaction of each."""
    async with quiet_system() as system:
        with _writing_thread(board) as log:
            return await write_with(system, board, log, count)


def bare(board: Board, count: int) -> float:
    """Events a second of one thread that does nothing else, and has the rows ready."""
    rows = [_rows(board, board.tasks[n % WRITERS]) for n in range(count)]
    with closing(open_writer(board.path)) as connection:
        _write_groups(connection, [_rows(board, task) for task in board.tasks * WARM_UP])
        began = perf_counter()
        _write_groups(connection, rows)
        return count / (perf_counter() - began)


def _write_groups(connection: sqlite3.Connection, rows: Sequence[_Rows]) -> None:
    for start in range(0, len(rows), GROUP):
        connection.execute("BEGIN IMMEDIATE")
        for row in rows[start : start + GROUP]:
            connection.execute("SAVEPOINT command")
            _insert(connection, row)
            connection.execute("RELEASE command")
        connection.execute("COMMIT")


async def write_with(system: System, board: Board, log: Log, count: int) -> Acknowledged:
    """Let a hundred actors share *count* events among them."""
    waits: list[float] = []
    refs = [
        await system.root.start_child(ChildSpec(task_id, WritingActor, (log, task_id, waits)))
        for task_id in board.tasks
    ]
    await _ask_each(refs, WARM_UP)
    waits.clear()
    began = perf_counter()
    await _ask_each(refs, count // WRITERS)
    return Acknowledged(len(waits) / (perf_counter() - began), waits)


async def _ask_each(refs: Sequence[Ref[int]], events: int) -> None:
    async with trio.open_nursery() as nursery:
        for ref in refs:
            nursery.start_soon(ref.ask, events, None)


@asynccontextmanager
async def open_store(path: Path) -> AsyncIterator[Store]:
    """Run the storage actor as the service does."""
    async with quiet_system() as system:
        spec = ChildSpec(
            STORAGE,
            StorageActor,
            (path, _ignore),
            shutdown=30.0,
            interrupt=False,
            capacity=1_000,
            register=STORAGE,
            lane="shared",
        )
        await system.root.start_child(spec)
        yield Store(system, WallClock())


@contextmanager
def _writing_thread(board: Board) -> Iterator[Log]:
    wishes: queue.SimpleQueue[tuple[c.LogEvent, trio.Event] | None] = queue.SimpleQueue()
    token = trio.lowlevel.current_trio_token()

    def work() -> None:
        with closing(open_writer(board.path)) as connection:
            while (wish := wishes.get()) is not None:
                command, done = wish
                _commit_one(connection, command)
                token.run_sync_soon(done.set)

    async def log(task_id: str) -> None:
        done = trio.Event()
        wishes.put((_command(task_id), done))
        await done.wait()

    thread = threading.Thread(target=work, name="one-by-one")
    thread.start()
    try:
        yield log
    finally:
        wishes.put(None)
        thread.join()


def _commit_one(connection: sqlite3.Connection, command: c.LogEvent) -> None:
    connection.execute("BEGIN IMMEDIATE")
    appends = Appends(connection)
    command.apply(Transaction(appends, _now(), "operator", random.getrandbits(64)))
    appends.finish()
    connection.execute("COMMIT")


def _command(task_id: str) -> c.LogEvent:
    return c.LogEvent(task_id, _THOUGHT, _ACTION)


def _now() -> int:
    return time_ns() // 1000


def _rows(board: Board, task_id: str) -> _Rows:
    at = _now()
    id_ = uuid7(at, random.getrandbits(74))
    kind = "thought"
    event = (id_, board.project_id, task_id, None, None, kind, _THOUGHT, _ACTION, at)
    image = json.dumps(dict(zip(_COLUMNS, event, strict=True)), ensure_ascii=False)
    return event, (board.project_id, id_, at, image)


def _insert(connection: sqlite3.Connection, rows: _Rows) -> None:
    event, change = rows
    connection.execute(_EVENT, event)
    connection.execute(_CHANGE, change)


def _ignore() -> None:
    """Nobody subscribes."""
