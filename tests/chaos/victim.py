"""A home whose sidecar is killed again and again, and what its clients know of it."""

from __future__ import annotations

import json
import os
import random
import select
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

import mission_control
from mission_control import Config
from mission_control.actors import Home
from mission_control.config import ListenSettings
from rig import FAST
from system_doors import idle

from .conftest import Chaos
from .inspection import inspect
from .ledger import Ledger
from .life import Order
from .steps import make
from .template import Life, Template

LIVES_OF_A_HOME = 5
"""Then another is begun: an inspection reads all of the log."""
MOST_ACKNOWLEDGED = 60


@attrs.define
class Score:
    """What is told of it in the end."""

    opened_ms: list[float] = attrs.field(factory=list)
    acknowledged: int = 0
    unknown: int = 0
    lives: int = 0

    def __str__(self) -> str:
        opened = sorted(self.opened_ms) or [0.0]
        return (
            f"{self.lives} lives killed; {self.acknowledged} changes acknowledged, none lost;"
            f" {self.unknown} asked for again, none doubled; opened again in"
            f" {statistics.median(opened):.0f} ms (median), {opened[-1]:.0f} ms (most)"
        )


@attrs.define
class Victim:
    """A home, and what its clients know."""

    template: Template
    home: Home
    chance: random.Random
    score: Score = attrs.field(factory=Score)
    ledger: Ledger = attrs.field(factory=Ledger)

    def order(self, **more: Any) -> Order:
        again = [attrs.asdict(step) for step in self.ledger.unknown]
        self.score.lives += 1
        self.score.unknown += len(again)
        name, seed = f"life{self.score.lives}", self.chance.randrange(1 << 32)
        return Order(name, str(self.home.path), seed, again, **more)

    def hear(self, life: Life) -> Iterator[list[Any]]:
        """Yield what a life says, until it is killed."""
        with os.fdopen(os.dup(life.says), "rb") as pipe:
            for line in pipe:
                if line.endswith(b"\n"):
                    yield json.loads(line)

    def kill_within(self, **more: Any) -> None:
        """Let it begin, and kill it when so many changes were acknowledged, or before any was."""
        wanted = self.chance.randrange(-MOST_ACKNOWLEDGED // 8, MOST_ACKNOWLEDGED) + 1
        heard = 0
        with self.template.life(self.order(**more)) as life:
            if wanted <= 0:
                self.wait_a_moment(0.2)  # while it opens what the last one left
                life.kill()
            for what, *rest in self.hear(life):
                if what == "open":
                    self.score.opened_ms.append(rest[2])
                    continue
                self.ledger.tell(what, *rest)
                heard += what == "acknowledged"
                if heard == wanted and what == "acknowledged":
                    self.wait_a_moment(0.01)
                    life.kill()
            assert life.killed, f"it ended by itself: {self.template.log.read_text()[-2000:]}"
        self.score.acknowledged += heard

    def wait_a_moment(self, most_s: float) -> None:
        # Not for anything: the moment of death is to have nothing to do with what was said.
        select.select([], [], [], self.chance.uniform(0, most_s))

    def inspect(self) -> list[str]:
        return inspect(self.home, self.ledger)

    async def settle(self) -> None:
        """Live on in peace, until nothing is unknown; then all must be there, and shown."""
        config = Config(listen=ListenSettings(port=0), pulse=FAST)
        async with mission_control.open(self.home.path, config, runner=idle()) as mc:

            async def call(method: str, params: dict[str, Any]) -> Any:
                return await mc.call(method, **params)

            for step in self.ledger.unknown:
                await make(step, call, self.ledger.tell)
            some = list(self.ledger.answers)[:: max(1, len(self.ledger.answers) // 20)]
            for key in some:  # and of what was heard, some is asked for again
                await make(self.ledger.steps[key], call, self.ledger.tell)
        assert self.ledger.unknown == []
        assert inspect(self.home, self.ledger, settled=True) == []
        assert list(self.home.scope("p").path.rglob(".*.tmp")) == []


def homes(chaos: Chaos, tmp_path: Path, rounds: int) -> Iterator[tuple[Victim, int]]:
    """Yield a home and how many lives it has; the score is of all together."""
    chance = random.Random(chaos.seed)  # noqa: S311 - moments, not secrets
    score = Score()
    for number in range(0, rounds, LIVES_OF_A_HOME):
        home = Home(tmp_path / f"home{number}")
        yield Victim(chaos.template, home, chance, score), min(LIVES_OF_A_HOME, rounds - number)
