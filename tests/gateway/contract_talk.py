"""Sessions and turns as a scenario of the contract sees them, on whichever Gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import attrs
import trio

from mission_control.gateway_bridge._address import GatewayAddress
from mission_control.gateway_bridge._connection import Connection, Heard, open_connection
from mission_control.gateway_bridge._frames import Event, Settled
from mission_control.storage import Unavailable
from mission_control.testing import Step

PATIENCE_S = 120.0


class Stack(Protocol):
    """A Gateway whose model does what a scenario says."""

    folder: Path

    @property
    def url(self) -> str: ...

    @property
    def token(self) -> str: ...

    def script(self, marker: str, *steps: Step) -> None:
        """Let the model do *steps* in turns whose message holds *marker*."""

    async def asked(self, marker: str, count: int = 1) -> None:
        """Wait until the model was asked so often about *marker*."""

    async def crash(self) -> None:
        """Kill it, and start it again."""


@attrs.define
class Line:
    """A connection that remembers what it hears."""

    connection: Connection
    heard: list[Heard]
    change: list[trio.Event]

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        with trio.fail_after(PATIENCE_S):
            return await self.connection.call(method, params)

    async def settled(self, run_id: str) -> Settled:
        """The second answer to `agent`."""
        found = await self.first(lambda h: isinstance(h, Settled) and h.run_id == run_id)
        assert isinstance(found, Settled)
        return found

    async def chat(self, run_id: str, state: str) -> dict[str, Any]:
        """The payload of the first `chat` event of a run that has this state."""

        def matches(heard: Heard) -> bool:
            match heard:
                case Event(name="chat", payload=payload):
                    return (payload["runId"], payload["state"]) == (run_id, state)
                case _:
                    return False

        found = await self.first(matches)
        return dict(found.payload)

    async def first(self, wanted: Callable[[Heard], bool]) -> Heard:
        with trio.fail_after(PATIENCE_S):
            while True:
                for heard in self.heard:
                    if wanted(heard):
                        return heard
                await self.change[0].wait()

    async def wait(self, run_id: str, timeout_ms: int = 60_000) -> dict[str, Any]:
        return await self.call("agent.wait", runId=run_id, timeoutMs=timeout_ms)


@asynccontextmanager
async def connected(stack: Stack) -> AsyncIterator[Line]:
    heard: list[Heard] = []
    change = [trio.Event()]

    def listen(what: Heard) -> None:
        heard.append(what)
        change[0].set()
        change[0] = trio.Event()

    async with open_connection(GatewayAddress(stack.url, stack.token), listen) as connection:
        yield Line(connection, heard, change)


@attrs.define
class Talk:
    """A session of its own, and a line to its Gateway."""

    stack: Stack
    line: Line
    marker: str
    key: str

    async def begin(self, run_id: str, **more: Any) -> dict[str, Any]:
        """Begin a turn; return the first answer."""
        turn = {"message": f"Please {self.marker}.", "sessionKey": self.key, "deliver": False}
        return await self.line.call(
            "agent", idempotencyKey=run_id, **{"timeout": 100, **turn, **more}
        )

    async def history(self, **more: Any) -> dict[str, Any]:
        return await self.line.call("chat.history", sessionKey=self.key, **more)

    async def tasks(self) -> dict[str, str]:
        """The turns that the Gateway has under way in the session, with their states."""
        asked = {"sessionKey": self.key, "status": ["queued", "running"]}
        while True:
            try:
                tasks = (await self.line.call("tasks.list", **asked))["tasks"]
            except Unavailable:  # it says so while they change
                await self.line.wait(new_run(), 50)
            else:
                return {task["runId"]: task["status"] for task in tasks if task["kind"] == "cli"}


@asynccontextmanager
async def talking(stack: Stack, *steps: Step) -> AsyncIterator[Talk]:
    """A fresh session, in which the model does *steps*."""
    marker = f"task-{uuid4().hex}"
    async with connected(stack) as line:
        talk = Talk(stack, line, marker, f"agent:main:contract:{marker}")
        stack.script(marker, *steps)
        await line.call("sessions.create", key=talk.key, agentId="main", cwd=str(stack.folder))
        yield talk


def new_run() -> str:
    return str(uuid4())
