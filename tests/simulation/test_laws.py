"""Each law is broken once on purpose: a world that did not notice would prove nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mission_control.actors import Life as Listener
from mission_control.actors import Outcome, PulseOrder, RunHandle
from mission_control.actors._ending import Ending
from mission_control.actors._pulse import PulseActor
from mission_control.actors._slots import Places, Slots
from mission_control.gateway_bridge import Caller
from mission_control.storage import Forbidden, Reads, Writer
from mission_control.storage import _group as group
from mission_control.storage._lease import Fence
from mission_control.storage.commands import memory, pulses, tasks
from mission_control.storage.reads import _budgets as budget_questions
from mission_control.storage.reads import _pulses as pulse_questions
from mission_control.storage.reads._pulses import PulseQuestions

from . import faults, people, turns
from .faults import Faults
from .planting import law_broken
from .replacing import replacing
from .runner import SimulatedRunner

pytestmark = pytest.mark.slow

DAYS_S = 3 * 86_400.0

MEDDLING = {"meddle": 2, "done": 1, "go_on": 2}
"""What agents do where they are to overreach themselves."""
SAVING = {"create": 3, "budget": 1}
"""What people do where money is to be short."""


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
    with replacing(turns, "ENDS", {"babble": 1, "done": 1}):
        found = law_broken(folder, Slots, "__init__", too_generous)
    assert "more pulses run" in found


def test_a_late_word_that_is_written_is_noticed(folder: Path) -> None:
    def let_in(connection: sqlite3.Connection, fence: Fence) -> str:
        row = connection.execute(
            "SELECT id FROM pulses WHERE fence = ? AND agent_id = ?",
            [fence.token, fence.name.removeprefix("agent:")],
        ).fetchone()
        return str(row[0])

    found = law_broken(folder, group, "holder_of", let_in)
    assert "had ended wr" in found or "it has no attempt" in found


def test_a_write_that_is_not_in_the_log_is_noticed(folder: Path) -> None:
    def settle(self: Writer, items: Any) -> None:
        before(self, items)
        self._connection.execute("UPDATE tasks SET title = title || '!' WHERE status = 1")

    before: Callable[..., object] = Writer._settle
    assert "not what the log says" in law_broken(folder, Writer, "_settle", settle)


def test_a_second_task_in_progress_is_noticed(folder: Path) -> None:
    def settle(self: Writer, items: Any) -> None:
        self._connection.execute("DROP INDEX IF EXISTS tasks_in_hand")
        before(self, items)

    before: Callable[..., object] = Writer._settle
    with ExitStack() as forgetful:
        for module in (pulses, pulse_questions):
            for name in ("OPEN_TASK", "IN_HAND"):
                sql = f"{getattr(pulses, name)} AND 0"
                forgetful.enter_context(replacing(module, name, sql))
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

    before: Callable[..., object] = Writer._settle
    assert "had ended was written to" in law_broken(folder, Writer, "_settle", settle)


def test_an_attempt_on_a_spent_budget_is_noticed(folder: Path) -> None:
    def never(budgets: Any, at_us: int) -> None:
        return

    with replacing(people, "DEEDS", SAVING), replacing(budget_questions, "spent_budget", never):
        found = law_broken(folder, pulses, "spent_budget", never)
    assert "on a spent budget" in found


def test_a_pulse_that_is_not_charged_for_is_noticed(folder: Path) -> None:
    def forget(*_: object) -> None:
        return

    with replacing(people, "DEEDS", SAVING):
        found = law_broken(folder, pulses, "charge", forget)
    assert "does not say what was taken" in found


def test_a_write_to_the_task_of_another_is_noticed(folder: Path) -> None:
    def whoever(task: object, agent_id: str) -> None:
        return

    with replacing(turns, "ENDS", MEDDLING), replacing(memory, "require_owner", whoever):
        found = law_broken(folder, tasks, "require_owner", whoever)
    assert "wrote to a task of" in found


def test_a_write_into_another_project_is_noticed(folder: Path) -> None:
    def namesake(task: Any, agent_id: str) -> None:
        if task.assignee != agent_id.partition(":")[0]:
            raise Forbidden("not yours")

    def anywhere(self: Caller, project_id: str) -> None:
        return

    with ExitStack() as stack:
        stack.enter_context(replacing(turns, "ENDS", MEDDLING))
        stack.enter_context(replacing(memory, "require_owner", namesake))
        stack.enter_context(replacing(tasks, "require_owner", namesake))
        found = law_broken(folder, Caller, "require_project", anywhere)
    assert "wrote into project" in found


def test_a_message_that_nobody_reads_is_noticed(folder: Path) -> None:
    unheard = "WHERE to_agent = ?1 AND 0 AND ?2"
    with replacing(people, "DEEDS", {"message": 1}), replacing(pulse_questions, "WAKING", unheard):
        found = law_broken(folder, pulses, "WAKING", unheard)
    assert "forgotten: message" in found


def test_a_task_that_waits_by_a_clock_that_was_set_back_is_noticed(folder: Path) -> None:
    def for_ever(agent: object) -> int:
        return pulses.FAR_FUTURE // 2

    async def to_and_fro(self: Faults, life: object) -> None:
        self.clock.ahead_s = DAYS_S if self.clock.ahead_s == 0.0 else 0.0

    with ExitStack() as stack:
        stack.enter_context(replacing(faults, "FAULTS", {"set_clock": 1}))
        stack.enter_context(replacing(Faults, "_set_clock", to_and_fro))
        stack.enter_context(replacing(turns, "ENDS", {"go_on": 1}))
        stack.enter_context(replacing(pulse_questions, "longest_wait", for_ever))
        found = law_broken(folder, pulses, "longest_wait", for_ever)
    assert "stranded" in found or "forgotten" in found


def test_an_actor_that_fails_for_no_good_reason_is_noticed(folder: Path) -> None:
    def fail(self: Ending) -> int:
        raise ZeroDivisionError

    assert "as it should not" in law_broken(folder, Ending, "_skipped", fail)
