"""`kill -9` at random moments, again and again: what was acknowledged is there, once, and shown.

Fifty clients write.  A ledger outside the killed process knows what they were told.  The next life
is asked again for all of which nothing was heard, with the same keys.  See `make chaos`.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import trio

from mission_control.actors import Home

from .clients import visit
from .conftest import ROUNDS, Chaos
from .victim import Score, Victim, homes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + 5 * ROUNDS)]


def test_nothing_acknowledged_is_lost_and_nothing_happens_twice(
    chaos: Chaos, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score = Score()
    for victim, lives in homes(chaos, tmp_path, chaos.rounds * 3 // 4):
        score = victim.score
        for _ in range(lives):
            victim.kill_within()
            assert victim.inspect() == [], f"CHAOS_SEED={chaos.seed}, life {score.lives}"
        trio.run(victim.settle)
    with capsys.disabled():
        print(f"\nkill -9, seed {chaos.seed}: {score}")  # noqa: T201 - for whoever looks on


def test_fifty_clients_of_the_killed_sidecar_lose_nothing_either(
    chaos: Chaos, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score = Score()
    for victim, lives in homes(chaos, tmp_path, chaos.rounds // 4):
        score = victim.score
        for _ in range(lives):
            trio.run(visit, victim)
            assert victim.inspect() == [], f"CHAOS_SEED={chaos.seed}, life {score.lives}"
    with capsys.disabled():
        print(f"\nkill -9 of clients' sidecar, seed {chaos.seed}: {score}")  # noqa: T201


# Negative controls: the inspection must find what it is for.

MOST_LIVES = 100
"""In which a fault must show; one in two or three does."""


@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        ("answer_before_the_commit", "lost: "),
        ("retry_without_key", "doubled: "),
        ("write_mirrors_in_place", "torn: "),
        ("render_before_the_commit", "ahead: "),
    ],
)
def test_a_fault_is_found(chaos: Chaos, tmp_path: Path, fault: str, finding: str) -> None:
    chance = random.Random(chaos.seed)  # noqa: S311 - moments, not secrets
    victim = Victim(chaos.template, Home(tmp_path / "home"), chance)
    more = {"keyless": True} if fault == "retry_without_key" else {"fault": fault}
    found: list[str] = []
    for _ in range(MOST_LIVES):
        victim.kill_within(**more)
        found = victim.inspect()
        if any(each.startswith(finding) for each in found):
            return
    pytest.fail(f"not found in {MOST_LIVES} lives, CHAOS_SEED={chaos.seed}: {found}")
