"""What storage tests share: commands applied one by one to a real file, and a writer's answers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import trio

from mission_control.storage import (
    US,
    Agent,
    AgentStatus,
    Command,
    Fence,
    ManualClock,
    Project,
    Pulse,
    Reads,
    Task,
    TaskStatus,
    Write,
    Writer,
    agent_lease,
    migrate,
    open_writer,
)
from mission_control.storage import commands as c
from mission_control.storage._appends import Appends
from mission_control.storage._group import Item, commit_group

R = TypeVar("R")


@attrs.define
class Bench:
    """One database, one second later with every command."""

    path: Path
    connection: sqlite3.Connection
    reads: Reads
    clock: ManualClock = attrs.field(factory=ManualClock)
    done: int = 0

    def do(
        self,
        command: Command[R],
        by: str = "operator",
        at: int | None = None,
        fence: Fence | None = None,
        key: str | None = None,
    ) -> R:
        """Commit *command*, or leave everything as it was where it is refused."""
        self.clock.advance(1)
        self.done += 1
        at = self.clock.now_us() if at is None else at
        item = Item(Write(command, at, by, self.done, key, fence), Reply())
        commit_group([item], Appends(self.connection))
        if item.error is not None:
            raise item.error
        result: R = item.result
        return result

    def project(self, name: str = "P") -> Project:
        return self.do(c.InitProject(name))

    def agent(self, project_id: str, soul: str = "shuri", max_retries: int = 3) -> Agent:
        self.do(c.InstallSoul(soul, "0" * 64))
        return self.do(c.CreateAgent(project_id, soul, 60.0, 300.0, max_retries))

    def task(self, project_id: str, title: str = "one", assignee: str | None = "shuri") -> Task:
        return self.do(c.CreateTask(project_id, title, assignee))

    def begin(self, agent_id: str, *, triggered: bool = False) -> Pulse:
        """Begin a pulse that must have something to do."""
        pulse = self.do(c.BeginPulse(agent_id, "process", triggered))
        assert pulse is not None
        return pulse

    def end(self, pulse: Pulse, **how: Any) -> Pulse:
        """End a pulse, well if nothing else is said."""
        outcome = "failed" if how.get("failed") else "succeeded"
        return self.do(
            c.EndPulse(**{"outcome": outcome, "failed": False, **how}, pulse_id=pulse.id)
        )

    def fence(self, pulse: Pulse) -> Fence:
        """What the writes of this attempt are held to."""
        return Fence(agent_lease(pulse.agent_id), pulse.fence)

    def status(self, task: Task) -> TaskStatus:
        return self.reads.task(task.id).status

    def agent_status(self, agent: Agent) -> AgentStatus:
        return self.reads.agent(agent.id).status

    def kinds(self, task: Task) -> list[str]:
        """What the task's stream of thoughts tells, oldest first."""
        return [event.kind for event in self.reads.events(task_id=task.id)]

    def table(self, name: str) -> list[dict[str, Any]]:
        cursor = self.connection.execute(f"SELECT * FROM {name} ORDER BY id")  # noqa: S608
        columns = [column[0] for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor]


@contextmanager
def open_bench(path: Path) -> Iterator[Bench]:
    connection = open_writer(path)
    # A test needs no power cut to be survived, and there are thousands of commits.
    connection.execute("PRAGMA synchronous=OFF")
    migrate(connection)
    connection.execute("INSERT OR IGNORE INTO meta VALUES('epoch', 'e1')")
    bench = Bench(path, connection, Reads(path))
    try:
        yield bench
    finally:
        bench.reads.close()
        connection.close()


class Reply:
    """Where a writer's answer goes, and where the test waits for it."""

    def __init__(self, *, abandoned: bool = False) -> None:
        self.abandoned = abandoned
        self.value: Any = None
        self.error: Exception | None = None
        self._settled = trio.Event()

    @property
    def settled(self) -> bool:
        return self._settled.is_set()

    def answer(self, value: Any) -> None:
        self.value = value
        self._settled.set()

    def fail(self, error: Exception) -> None:
        self.error = error
        self._settled.set()

    async def outcome(self) -> Any:
        """The answer, within half a minute; raises what was refused."""
        with trio.fail_after(30):
            await self._settled.wait()
        if self.error is not None:
            raise self.error
        return self.value


@attrs.define
class Desk:
    """A writer, and how many commands were put to it."""

    writer: Writer
    put: int = 0

    def submit(
        self,
        command: Command[Any],
        key: str | None = None,
        reply: Reply | None = None,
        fence: Fence | None = None,
    ) -> Reply:
        self.put += 1
        reply = Reply() if reply is None else reply
        at = ManualClock().now_us() + self.put * US
        self.writer.submit(Write(command, at, "operator", self.put, key, fence), reply)
        return reply

    async def do(
        self, command: Command[R], key: str | None = None, fence: Fence | None = None
    ) -> R:
        result: R = await self.submit(command, key, fence=fence).outcome()
        return result
