"""What simulated agents do in their turns: mostly what they should, and now and then anything."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
import trio

from mission_control.actors import Outcome, OutcomeKind
from mission_control.storage import MissionError

from .host import Run
from .writing import Call, Writing

SUCCEEDED = Outcome(OutcomeKind.SUCCEEDED, "", "said the agent", tokens=10, cost_usd=0.01)
"""What it takes adds up to what people say may be taken a day."""
FAILED = Outcome(OutcomeKind.FAILED, "the simulated agent failed")

SOULS = ("nakia", "okoye", "shuri")

ENDS = {
    "done": 10, "go_on": 5, "help": 2, "give_back": 1, "fail": 3, "hang": 2, "babble": 1,
    "announce": 1, "message": 2, "meddle": 3, "hand_off": 2,
}  # fmt: skip
"""How a turn at a task ends, and how often."""


@attrs.define
class Agents:
    """The minds of all agents."""

    chance: random.Random
    call: Call
    """Calls the sidecar with a run's token, as a tool does."""
    tasks: Callable[[], Sequence[str]]
    """Ids of all there are, also where an agent should not look."""
    calm: bool = False
    """From now on they only do what they should."""
    writing: Writing = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.writing = Writing(self.chance, self.call)

    async def turn(self, run: Run) -> Outcome:
        """Do one turn."""
        match run.order.kind:
            case "work":
                return await self._work(run)
            case "distill":
                await self._pause(run)
                if self.calm or self.chance.random() < 0.7:
                    await self._tool(run, "mission.control.distill_memory", summary="learned")
            case _:
                await self._pause(run)
        return SUCCEEDED

    async def _work(self, run: Run) -> Outcome:
        for _ in range(1 if self.calm else self.chance.randrange(1, 3)):
            await self._pause(run)
            await self._tool(run, "mission.control.log_event", thought=self._thought(run))
            await self.writing.do(run)
        how = "done" if self.calm else self.chance.choices([*ENDS], [*ENDS.values()])[0]
        end: Callable[[Run], Awaitable[Outcome]] = getattr(self, f"_{how}")
        return await end(run)

    def _thought(self, run: Run) -> str:
        called = self.chance.choice(["", "", "", self._other(run)])
        return f"hm, @{called} may know" if called and not self.calm else "hm"

    def _other(self, run: Run) -> str:
        return self.chance.choice([soul for soul in SOULS if soul != run.order.soul])

    async def _done(self, run: Run) -> Outcome:
        await self._tool(run, "mission.task.move", new_status="done")
        return SUCCEEDED

    async def _go_on(self, run: Run) -> Outcome:
        return SUCCEEDED

    async def _help(self, run: Run) -> Outcome:
        await self._tool(run, "mission.control.request_help", issue="How?")
        return SUCCEEDED

    async def _give_back(self, run: Run) -> Outcome:
        await self._tool(run, "mission.task.move", new_status="backlog")
        return SUCCEEDED

    async def _fail(self, run: Run) -> Outcome:
        return FAILED

    async def _hang(self, run: Run) -> Outcome:
        await trio.sleep_forever()
        raise AssertionError

    async def _babble(self, run: Run) -> Outcome:
        while True:
            await self._pause(run)

    async def _announce(self, run: Run) -> Outcome:
        silence = self.chance.uniform(100.0, 900.0)
        await self._tool(
            run, "mission.control.log_event", thought="a build", expect_silence_s=silence + 60.0
        )
        await trio.sleep(silence)
        return SUCCEEDED

    async def _message(self, run: Run) -> Outcome:
        await self._tool(run, "mission.agent.message", to=self._other(run), text="hello")
        return SUCCEEDED

    async def _hand_off(self, run: Run) -> Outcome:
        await self._tool(run, "mission.task.hand_off", to=self._other(run), note="yours now")
        return SUCCEEDED

    async def _meddle(self, run: Run) -> Outcome:
        """Lay hands on a task, whosever it is; the laws see to it that it must be its own."""
        for task_id in self.chance.choices(self.tasks(), k=3):
            await self._tool(run, "mission.control.log_event", task_id=task_id, thought="hm")
            await self._tool(run, "mission.task.move", task_id=task_id, new_status="backlog")
        return SUCCEEDED

    async def _pause(self, run: Run) -> None:
        """Think for a while; a token that comes is a sign of life."""
        await trio.sleep(self.chance.uniform(5.0, 20.0 if self.calm else 120.0))
        run.life.sign("a token")

    async def _tool(self, run: Run, method: str, **params: Any) -> None:
        """Call a tool; an agent shrugs at a refusal."""
        try:
            await self.call(run, method, **params)
        except MissionError:
            return
