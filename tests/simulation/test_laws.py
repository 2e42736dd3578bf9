"""Each law is broken once on purpose: a world that did not notice would prove nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mission_control.actors import Life as Listener
from mission_control.actors import Outcome, PulseOrder, RunHandle
from mission_control.actors._pulse import PulseActor
from mission_control.actors._slots import Places, Slots
from mission_control.storage import Reads, Writer
from mission_control.storage import _group as group
from mission_control.storage._lease import Fence
from mission_control.storage.commands import pulses
from mission_control.storage.reads import _pulses as pulse_questions
from mission_control.storage.reads._pulses import PulseQuestions

from .climate import Climate
from .replacing import replacing
from .runner import SimulatedRunner
from .world import LawBroken, World

pytestmark = pytest.mark.slow

BUSY = Climate(deeds_s=600.0, faults_s=1_200.0)
MOST_WORLDS = 6


def law_broken(folder: Path, owner: Any, name: str, fault: Any) -> str:
    """Return which law is broken in the first of some worlds in which *fault* is planted."""
    for seed in range(MOST_WORLDS):
        with replacing(owner, name, fault):
            try:
                World(seed, folder / str(seed), BUSY).run()
            except LawBroken as broken:
                return str(broken)
    return "none"


def test_a_turn_that_is_run_again_is_noticed(folder: Path) -> None:
    async def recover(
        self: SimulatedRunner, order: PulseOrder, handle: RunHandle, life: Listener
    ) -> Outcome:
        return await self.run(order, life)

    found = law_broken(folder, SimulatedRunner, "recover", recover)
    assert "was run twice" in found or "at once" in found


def test_a_run_that_outlives_its_attempt_is_noticed(folder: Path) -> None:
    def leave_it(self: SimulatedRunner, run: Any) -> None:
        return

    found = law_broken(folder, SimulatedRunner, "_abort", leave_it)
    assert "at once" in found or "more pulses run" in found


def test_more_runs_than_places_are_noticed(folder: Path) -> None:
    def too_generous(
        self: Slots, reads: Reads, places: Places, in_all: int, per_project: int
    ) -> None:
        before(self, reads, places, in_all + 1, per_project + 1)

    before = Slots.__init__
    assert "more pulses run" in law_broken(folder, Slots, "__init__", too_generous)


def test_a_late_word_that_is_written_is_noticed(folder: Path) -> None:
    def let_in(connection: sqlite3.Connection, fence: Fence) -> str:
        row = connection.execute(
            "SELECT id FROM pulses WHERE fence = ? AND agent_id = ?",
            [fence.token, fence.name.removeprefix("agent:")],
        ).fetchone()
        return str(row[0])

    assert "had ended wr" in law_broken(folder, group, "holder_of", let_in)


def test_a_write_that_is_not_in_the_log_is_noticed(folder: Path) -> None:
    def settle(self: Writer, items: Any) -> None:
        before(self, items)
        self._connection.execute("UPDATE tasks SET title = title || '!' WHERE status = 1")

    before: Callable[..., None] = Writer._settle
    assert "not what the log says" in law_broken(folder, Writer, "_settle", settle)


def test_a_second_task_in_progress_is_noticed(folder: Path) -> None:
    def settle(self: Writer, items: Any) -> None:
        self._connection.execute("DROP INDEX IF EXISTS tasks_in_hand")
        before(self, items)

    before: Callable[..., None] = Writer._settle
    forgetful = f"{pulses.OPEN_TASK} AND 0"
    with (
        replacing(pulses, "OPEN_TASK", forgetful),
        replacing(pulse_questions, "OPEN_TASK", forgetful),
    ):
        found = law_broken(folder, Writer, "_settle", settle)
    assert "tasks in progress" in found


def test_a_task_that_is_forgotten_is_noticed(folder: Path) -> None:
    def never(self: PulseQuestions, agent: Any, now_us: int) -> bool:
        return agent.soul != "shuri" and before(self, agent, now_us)

    before = PulseQuestions.has_work
    found = law_broken(folder, PulseQuestions, "has_work", never)
    assert "stranded" in found or "forgotten" in found


def test_an_agent_that_sleeps_for_ever_is_noticed(folder: Path) -> None:
    def sleep(self: PulseActor, message: object) -> None:
        return

    found = law_broken(folder, PulseActor, "receive", sleep)
    assert "stranded" in found or "forgotten" in found


def test_an_attempt_that_is_written_to_after_its_end_is_noticed(folder: Path) -> None:
    def settle(self: Writer, items: Any) -> None:
        before(self, items)
        self._connection.execute(
            "INSERT INTO changes(project_id, kind, entity, entity_id, actor, at, after)"
            " SELECT project_id, kind, entity, entity_id, actor, at, after FROM changes"
            " WHERE entity = 'pulses' AND after LIKE '%\"ended\"%' LIMIT 1"
        )

    before: Callable[..., None] = Writer._settle
    assert "had ended was written to" in law_broken(folder, Writer, "_settle", settle)
