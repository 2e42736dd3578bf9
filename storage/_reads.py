"""Everything that is read: through connections that cannot write and never wait for the writer.

A point read takes well under 0.1 ms, less than a hop to a thread, and is made where it is asked
for; what may return many rows is for :meth:`Reads.elsewhere`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import trio

from ._connection import open_reader
from ._errors import Unavailable
from ._records import (
    Agent,
    AgentStatus,
    Change,
    ChronicleEntry,
    HelpRequest,
    Memory,
    Message,
    Project,
    ProjectState,
    Pulse,
    Session,
    Task,
    TaskEvent,
)
from ._table import (
    AGENTS,
    CHRONICLE,
    HELP_REQUESTS,
    MEMORIES,
    MESSAGES,
    PROJECTS,
    PULSES,
    SESSIONS,
    TASK_EVENTS,
    TASKS,
    Table,
)
from .commands.pulses import FAR_FUTURE, HALTED, OPEN_TASK, READY_TASK, UNREAD

R = TypeVar("R")
T = TypeVar("T")

MAX_PAGE = 500


class Reads:
    """Questions to the database, over one read-only connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._threads = trio.CapacityLimiter(2)

    def close(self) -> None:
        """Give the connection back; a later question opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def elsewhere(self, question: Callable[[Reads], T]) -> T:
        """Ask *question* in a worker thread, all of it in one read transaction.

        What it sees is one state of the database: the newest when it began.
        """
        return await trio.to_thread.run_sync(self._ask, question, limiter=self._threads)

    def _ask(self, question: Callable[[Reads], T]) -> T:
        reads = Reads.__new__(Reads)
        reads._path, reads._connection = self._path, None  # noqa: SLF001
        try:
            reads._open.execute("BEGIN")  # noqa: SLF001
            return question(reads)
        except sqlite3.Error as error:
            raise Unavailable(f"the database cannot be read: {error}") from error
        finally:
            reads.close()

    @property
    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = open_reader(self._path)
            except sqlite3.OperationalError as error:
                raise Unavailable("storage is starting", retry_after_ms=200) from error
        return self._connection

    def _get(self, table: Table[R], id_: str) -> R:
        record = table.get(self._open, id_)
        if record is None:
            raise table.missing(id_)
        return record

    def _scalar(self, sql: str, *args: object) -> Any:
        row = self._open.execute(sql, args).fetchone()
        return None if row is None else row[0]

    # The log.

    def epoch(self) -> str:
        """Return the name of this history; a restored backup begins another."""
        return str(self._scalar("SELECT value FROM meta WHERE key = 'epoch'"))

    def last_seq(self) -> int:
        """Return the number of the newest committed change, 0 before the first."""
        return int(self._scalar("SELECT coalesce(max(seq), 0) FROM changes"))

    def changes(self, after: int, limit: int = MAX_PAGE) -> list[Change]:
        """Return the changes that follow number *after*, in order."""
        rows = self._open.execute(
            "SELECT seq, project_id, kind, entity, entity_id, actor, at, after FROM changes"
            " WHERE seq > ? ORDER BY seq LIMIT ?",
            [after, limit],
        )
        return [Change(*row) for row in rows]

    def touched(self, project_id: str, after: int) -> list[Change]:
        """Return the changes of one project that follow number *after*, in order."""
        rows = self._open.execute(
            "SELECT seq, project_id, kind, entity, entity_id, actor, at, after FROM changes"
            " WHERE project_id = ? AND seq > ? ORDER BY seq",
            [project_id, after],
        )
        return [Change(*row) for row in rows]

    # Projects and agents.

    def project(self, project_id: str) -> Project:
        """Return a project; NotFound where there is none."""
        return self._get(PROJECTS, project_id)

    def projects(self) -> list[Project]:
        """Return all projects, by id."""
        return PROJECTS.all(self._open, "ORDER BY id")

    def agent(self, agent_id: str) -> Agent:
        """Return an agent; NotFound where there is none."""
        return self._get(AGENTS, agent_id)

    def has_agent(self, agent_id: str) -> bool:
        """Whether there is such an agent."""
        return AGENTS.get(self._open, agent_id) is not None

    def agents(self, project_id: str | None = None) -> list[Agent]:
        """Return the agents of one project, or of all, by id."""
        if project_id is None:
            return AGENTS.all(self._open, "ORDER BY id")
        return AGENTS.all(self._open, "WHERE project_id = ? ORDER BY soul", project_id)

    def session(self, agent_id: str) -> Session | None:
        """Return the conversation of an agent, if it has one."""
        return SESSIONS.get(self._open, agent_id)

    def agent_of_session(self, key: str) -> str | None:
        """Return the id of the agent whose conversation has this key."""
        session = SESSIONS.first(self._open, "WHERE key = ?", key)
        return session.id if session is not None else None

    # Tasks.

    def task(self, task_id: str) -> Task:
        """Return a task; NotFound where there is none."""
        return self._get(TASKS, task_id)

    def find_task(self, task_id: str | None) -> Task | None:
        """Return a task, if there is one: it may have been deleted while it was worked on."""
        return TASKS.first(self._open, "WHERE id = ?", task_id)

    def board(self, project_id: str) -> list[Task]:
        """Return a project's cards, column by column, by priority and age."""
        return TASKS.all(
            self._open,
            "WHERE project_id = ? ORDER BY status, priority, created_at, id",
            project_id,
        )

    def depends_on(self, task_id: str) -> tuple[str, ...]:
        """Return what a task waits for, or has waited for."""
        rows = self._open.execute(
            "SELECT depends_on FROM task_dependencies WHERE task_id = ? ORDER BY depends_on",
            [task_id],
        )
        return tuple(row[0] for row in rows)

    def dependencies(self, project_id: str) -> dict[str, tuple[str, ...]]:
        """Return, for each task of a project that has any, what it depends on."""
        found: dict[str, tuple[str, ...]] = {}
        for task_id, other in self._open.execute(
            "SELECT task_id, depends_on FROM task_dependencies WHERE project_id = ? ORDER BY id",
            [project_id],
        ):
            found[task_id] = (*found.get(task_id, ()), other)
        return found

    def unmet(self, task_id: str) -> list[Task]:
        """Return what a task waits for."""
        return TASKS.all(
            self._open,
            "WHERE id IN (SELECT depends_on FROM task_dependencies WHERE task_id = ?)"
            " AND status NOT IN (2, 4)",
            task_id,
        )

    def events(
        self, *, task_id: str | None = None, project_id: str | None = None, limit: int = 50
    ) -> list[TaskEvent]:
        """Return the newest events of a task or of a project, oldest first."""
        column = "task_id" if task_id is not None else "project_id"
        found = TASK_EVENTS.all(
            self._open,
            f"WHERE {column} = ? ORDER BY pk DESC LIMIT ?",
            task_id if task_id is not None else project_id,
            min(limit, MAX_PAGE),
        )
        return found[::-1]

    # Pulses.

    def pulse(self, pulse_id: str) -> Pulse:
        """Return an attempt; NotFound where there is none."""
        return self._get(PULSES, pulse_id)

    def open_pulse(self, agent_id: str) -> Pulse | None:
        """Return the attempt of an agent that has not been closed."""
        return PULSES.first(self._open, "WHERE agent_id = ? AND state <> 'ended'", agent_id)

    def open_pulse_of_task(self, task_id: str) -> Pulse | None:
        """Return the attempt at a task that has not been closed."""
        return PULSES.first(self._open, "WHERE task_id = ? AND state <> 'ended'", task_id)

    def pulses_of_task(self, task_id: str) -> list[Pulse]:
        """Return all attempts at a task, oldest first."""
        return PULSES.all(self._open, "WHERE task_id = ? ORDER BY started_at, id", task_id)

    def pulses_between(self, project_id: str, start: int, end: int) -> list[Pulse]:
        """Return a project's attempts that started in [*start*, *end*), oldest first."""
        return PULSES.all(
            self._open,
            "WHERE project_id = ? AND started_at >= ? AND started_at < ? ORDER BY started_at, id",
            project_id,
            start,
            end,
        )

    def has_work(self, agent: Agent, now_us: int) -> bool:
        """Whether a pulse of *agent* would find something to do."""
        archived = self.project(agent.project_id).state is ProjectState.ARCHIVED
        if archived or agent.status in HALTED:
            return False
        if agent.status is AgentStatus.DISTILLING:
            return True
        if MESSAGES.first(self._open, UNREAD, agent.id) is not None:
            return True
        whose = (agent.project_id, agent.soul)
        in_hand = TASKS.first(self._open, OPEN_TASK, *whose, FAR_FUTURE)
        if in_hand is not None:
            return (in_hand.not_before or 0) <= now_us
        return TASKS.first(self._open, READY_TASK, *whose, now_us) is not None

    def next_not_before(self, agent: Agent, after_us: int) -> int | None:
        """Return the first time after *after_us* at which a task of *agent* may go on."""
        found = self._scalar(
            "SELECT min(not_before) FROM tasks"
            " WHERE project_id = ? AND assignee = ? AND status IN (0, 1)"
            " AND not_before > ?",
            agent.project_id,
            agent.soul,
            after_us,
        )
        return None if found is None else int(found)

    # Help, messages, memory.

    def help_request(self, help_id: str) -> HelpRequest:
        """Return a question; NotFound where there is none."""
        return self._get(HELP_REQUESTS, help_id)

    def help_requests(self, *, project_id: str | None, state: str) -> list[HelpRequest]:
        """Return the questions in *state*, oldest first."""
        if project_id is None:
            return HELP_REQUESTS.all(self._open, "WHERE state = ? ORDER BY created_at", state)
        return HELP_REQUESTS.all(
            self._open,
            "WHERE project_id = ? AND state = ? ORDER BY created_at",
            project_id,
            state,
        )

    def open_help(self, task_id: str) -> HelpRequest | None:
        """Return the question that a task waits for."""
        return HELP_REQUESTS.first(self._open, "WHERE task_id = ? AND state = 'open'", task_id)

    def messages(self, agent_id: str, limit: int = MAX_PAGE) -> list[Message]:
        """Return the newest messages to an agent, oldest first."""
        found = MESSAGES.all(
            self._open, "WHERE to_agent = ? ORDER BY pk DESC LIMIT ?", agent_id, limit
        )
        return found[::-1]

    def chronicle(self, project_id: str) -> list[ChronicleEntry]:
        """Return a project's story, oldest first."""
        return CHRONICLE.all(self._open, "WHERE project_id = ? ORDER BY pk", project_id)

    def memories(self, agent_id: str) -> list[Memory]:
        """Return what an agent learned, oldest first."""
        return MEMORIES.all(self._open, "WHERE agent_id = ? ORDER BY pk", agent_id)
