"""How simulated agents use files: their own mostly, and now and then whatever they can think of."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import trio

from mission_control.storage import Deadline, MissionError, Unauthenticated, Unavailable

from .host import Run

Call = Callable[..., Awaitable[Any]]

OWN = ("src/a.txt", "src/b.txt", "src/lib/c.txt")
FORBIDDEN = (
    "KANBAN.md", ".context", "agents/okoye/working.md", "agents/shuri/SOUL.md", "src",
    "../../../outside/canary.txt", "../q/src/a.txt", "/etc/hostname", "src/../.context",
    "src/out/canary.txt", "src/out/new.txt",
)  # fmt: skip
"""`src/out` is a link to what is outside; the notes are somebody else's, mostly."""

OPERATIONS = {"write": 4, "append": 6, "edit": 3, "move": 2, "delete": 1, "mkdir": 2, "trespass": 2}
"""What they do, and how often."""
PATIENCE = 20
"""So often is a change asked for again that nobody has answered, also where nobody knows its run
any more: the next life may adopt that."""


@attrs.define
class Writing:
    """What they write is never the same twice, so that it shows who wrote it, and how often."""

    chance: random.Random
    call: Call
    """Calls the sidecar with a run's token, as a tool does."""
    _lines: int = 0

    async def do(self, run: Run) -> None:
        """Do one thing with files; an agent shrugs at a refusal."""
        operation = self.chance.choices([*OPERATIONS], [*OPERATIONS.values()])[0]
        try:
            await getattr(self, f"_{operation}")(run)
        except MissionError:
            return

    def _path(self, run: Run) -> str:
        notes = f"agents/{run.order.soul}/working.md"
        return self.chance.choice([*OWN, notes])

    def _line(self, run: Run) -> str:
        self._lines += 1
        return f"line {self._lines} of {run.order.agent_id} in {run.order.pulse_id}\n"

    async def _write(self, run: Run) -> None:
        await self._insist(run, "write", path=self._path(run), content=self._line(run))

    async def _append(self, run: Run) -> None:
        await self._insist(run, "append", path=self._path(run), content=self._line(run))

    async def _edit(self, run: Run) -> None:
        """Put a line into what was read before, if it is still so."""
        path, line = self._path(run), self._line(run)
        text = (await self.call(run, "mission.file.read", path=path))["content"]
        await trio.sleep(self.chance.uniform(0.0, 5.0))
        first = text.splitlines(keepends=True)[0] if text else ""
        expected = hashlib.sha256(text.encode()).hexdigest()
        await self._insist(
            run, "edit", path=path, old=first, new=first + line, expected_sha256=expected
        )

    async def _move(self, run: Run) -> None:
        source, target = self.chance.sample(OWN, 2)
        await self._insist(run, "move", path=source, target=target, overwrite=True)

    async def _delete(self, run: Run) -> None:
        await self._insist(run, "delete", path=self._path(run))

    async def _mkdir(self, run: Run) -> None:
        await self._insist(run, "mkdir", path="src/lib")

    async def _trespass(self, run: Run) -> None:
        path, link = self.chance.choice(FORBIDDEN), run.order.cwd / "out"
        if run.order.cwd.is_dir() and not link.is_symlink():
            link.symlink_to(run.order.scope.parents[2] / "outside")
        await self.call(run, "mission.file.append", path=path, content=self._line(run))

    async def _insist(self, run: Run, operation: str, **params: Any) -> None:
        """Ask until it is known what came of it, as a tool does that sends the same key again."""
        key = f"{run.order.pulse_id} {self._lines} {operation}"
        for _ in range(PATIENCE):
            try:
                await self.call(run, f"mission.file.{operation}", idempotency_key=key, **params)
            except (Unavailable, Deadline, Unauthenticated):
                await trio.sleep(self.chance.uniform(0.1, 60.0))
            else:
                return
