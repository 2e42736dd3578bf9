"""Leases: an attempt writes while it holds its agent's, and not a word more."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import trio

from mission_control.storage import (
    US,
    AgentStatus,
    Command,
    Fence,
    Forbidden,
    Pulse,
    Reads,
    Task,
    TaskStatus,
    Writer,
    agent_lease,
    known_migrations,
    migrate,
    open_writer,
)
from mission_control.storage import commands as c
from storage_bench import Bench, Desk

AGENT = "shuri:p"
RESTORED = "UPDATE leases SET token = token + 1048576"


@pytest.fixture
def task(bench: Bench) -> Task:
    bench.agent(bench.project().id)
    bench.agent("p", "okoye")
    return bench.task("p")


def _lease(bench: Bench) -> tuple[Any, ...]:
    row = bench.connection.execute("SELECT name, holder, token, expires_at FROM leases").fetchall()
    return tuple(row[0])


def _words(task: Task) -> list[Command[Any]]:
    """Everything that an agent can send."""
    return [
        c.LogEvent(task.id, "hm", by_agent=AGENT),
        c.MoveTask(task.id, TaskStatus.DONE, by_agent=AGENT),
        c.RequestHelp(task.id, "How?", by_agent=AGENT),
        c.CreateTask("p", "another"),
        c.SendMessage("okoye:p", "hello"),
        c.DistillMemory(AGENT, "learned"),
        c.UpdateChronicle("p", "done"),
    ]


def test_an_attempt_holds_the_lease_of_its_agent_until_it_ends(bench: Bench, task: Task) -> None:
    pulse = bench.begin(AGENT)
    until = pulse.started_at + 300 * US
    assert _lease(bench) == ("agent:shuri:p", pulse.id, 1, until)
    assert pulse.fence == 1
    bench.end(pulse)
    assert _lease(bench) == ("agent:shuri:p", None, 1, None)


def test_each_attempt_has_a_higher_token_than_all_before(bench: Bench, task: Task) -> None:
    tokens = []
    for _ in range(3):
        pulse = bench.begin(AGENT)
        tokens.append(pulse.fence)
        bench.end(pulse)
    assert tokens == [1, 2, 3]
    bench.do(c.DestroyAgent(AGENT))
    bench.agent("p")
    assert bench.begin(AGENT).fence == 4


@pytest.mark.parametrize("word", range(7))
def test_a_word_counts_while_the_attempt_runs_and_not_when_it_has_ended(
    bench: Bench, task: Task, word: int
) -> None:
    pulse = bench.begin(AGENT)
    command = _words(task)[word]
    bench.do(command, AGENT, fence=bench.fence(pulse))
    bench.end(pulse)
    seq = bench.reads.last_seq()
    with pytest.raises(Forbidden, match=r"too late: the attempt .* number 1 has ended"):
        bench.do(command, AGENT, fence=bench.fence(pulse))
    assert bench.reads.last_seq() == seq


@pytest.mark.parametrize("word", range(7))
def test_a_word_of_an_earlier_attempt_does_not_count_as_the_next_one_s(
    bench: Bench, task: Task, word: int
) -> None:
    late = bench.begin(AGENT)
    bench.end(late)
    now = bench.begin(AGENT)
    command = _words(task)[word]
    with pytest.raises(Forbidden, match="too late"):
        bench.do(command, AGENT, fence=bench.fence(late))
    bench.do(command, AGENT, fence=bench.fence(now))


@pytest.mark.parametrize("fence", [Fence("agent:shuri:p", 7), Fence("agent:nobody", 0)])
def test_a_lease_that_nobody_gave_opens_nothing(bench: Bench, task: Task, fence: Fence) -> None:
    bench.begin(AGENT)
    with pytest.raises(Forbidden):
        bench.do(c.CreateTask("p", "another"), AGENT, fence=fence)


def test_what_an_attempt_says_is_kept_under_its_name(bench: Bench, task: Task) -> None:
    pulse = bench.begin(AGENT)
    for command in (c.LogEvent(task.id, "hm", by_agent=AGENT), c.CreateTask("p", "another")):
        bench.do(command, AGENT, fence=bench.fence(pulse))
    bench.do(c.LogEvent(task.id, "said an operator"))
    said = bench.reads.events(project_id="p")[-3:]
    assert [event.pulse_id for event in said] == [pulse.id, pulse.id, None]


def test_an_operator_needs_no_lease(bench: Bench, task: Task) -> None:
    bench.end(bench.begin(AGENT))
    bench.do(c.MoveTask(task.id, TaskStatus.DONE))
    assert bench.status(task) is TaskStatus.DONE


def test_a_clock_that_jumps_takes_no_lease_away(bench: Bench, task: Task) -> None:
    pulse = bench.begin(AGENT)
    for at in (pulse.started_at + 86_400 * US, pulse.started_at - 86_400 * US):
        bench.do(c.LogEvent(task.id, "hm", by_agent=AGENT), AGENT, at, bench.fence(pulse))
    bench.end(pulse)
    for at in (pulse.started_at - 1, pulse.started_at + 86_400 * US):
        with pytest.raises(Forbidden):
            bench.do(c.LogEvent(task.id, "hm", by_agent=AGENT), AGENT, at, bench.fence(pulse))


def test_an_agent_that_is_destroyed_holds_nothing(bench: Bench, task: Task) -> None:
    pulse = bench.begin(AGENT)
    bench.do(c.DestroyAgent(AGENT))
    assert _lease(bench)[1:] == (None, 1, None)
    with pytest.raises(Forbidden):
        bench.do(c.CreateTask("p", "another"), AGENT, fence=bench.fence(pulse))


def test_a_restored_backup_lets_no_attempt_of_before_write(bench: Bench, task: Task) -> None:
    pulse = bench.begin(AGENT)
    bench.connection.execute(RESTORED)
    with pytest.raises(Forbidden):
        bench.do(c.LogEvent(task.id, "hm", by_agent=AGENT), AGENT, fence=bench.fence(pulse))
    bench.end(pulse)
    assert bench.begin(AGENT).fence == 1 + (1 << 20) + 1


def test_a_lease_that_a_crash_left_is_taken_over_when_the_attempt_is_closed(
    bench: Bench, task: Task
) -> None:
    left = bench.begin(AGENT)
    found = bench.reads.open_pulse(AGENT)
    assert found == left  # with its number: one that still runs is adopted, and goes on writing
    bench.do(c.LogEvent(task.id, "hm", by_agent=AGENT), AGENT, fence=bench.fence(found))
    bench.end(found, failed=True)
    assert bench.begin(AGENT).fence == left.fence + 1


def test_an_attempt_that_began_before_there_were_leases_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    connection = open_writer(path)
    before = known_migrations()[:1]
    migrate(connection, before)
    _begin_by_hand(connection)
    migrate(connection)
    pulse = Reads(path).pulse("pulse")
    assert pulse.fence == 0
    assert connection.execute("SELECT * FROM leases").fetchall() == [
        ("agent:shuri:p", "pulse", 0, 5 + 300 * US)
    ]
    connection.close()


def _begin_by_hand(connection: sqlite3.Connection) -> None:
    """What the first schema's program left behind when it was killed in mid-pulse."""
    connection.executescript("""
        INSERT INTO projects VALUES('p', 'P', 'active', NULL, 1, 1, 1);
        INSERT INTO souls VALUES('shuri', 'x', 1, 1);
        INSERT INTO agents VALUES('shuri:p', 'p', 'shuri', 'working', 0, 60.0, 300.0, 3, '[]', '',
          NULL, 5, 1, 1, 1);
        INSERT INTO pulses(id, project_id, agent_id, kind, attempt, state, runner, detail, output,
          started_at, version) VALUES('pulse', 'p', 'shuri:p', 'trigger', 1, 'running', 'process',
          '', '', 5, 1);
    """)


async def test_a_lease_is_looked_at_in_the_transaction_of_the_write(tmp_path: Path) -> None:
    """The attempt ends in the very group in which it speaks."""
    connection = open_writer(tmp_path / "a.db")
    migrate(connection)
    desk = Desk(Writer(connection, on_commit=lambda: None, on_failure=lambda _: None))
    for command in _setting():
        desk.submit(command)
    begun = desk.submit(c.BeginPulse(AGENT, "process"))
    desk.writer.start()
    try:
        pulse: Pulse = await begun.outcome()
        fence = Fence(agent_lease(AGENT), pulse.fence)
        replies = [
            desk.submit(command, fence=to)
            for command, to in [
                (c.UpdateChronicle("p", "in time"), fence),
                (c.EndPulse(pulse.id, "succeeded", failed=False), None),
                (c.UpdateChronicle("p", "too late"), fence),
                (c.BeginPulse(AGENT, "process", triggered=True), None),
                (c.UpdateChronicle("p", "far too late"), fence),
            ]
        ]
        await replies[0].outcome()
        for late in (replies[2], replies[4]):
            with pytest.raises(Forbidden):
                await late.outcome()
        reads = Reads(tmp_path / "a.db")
        assert [entry.summary for entry in reads.chronicle("p")] == ["in time"]
        reads.close()
    finally:
        with trio.CancelScope(shield=True):
            await desk.writer.close()


async def test_a_retry_from_the_next_attempt_has_the_answer_of_the_first(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "a.db")
    migrate(connection)
    desk = Desk(Writer(connection, on_commit=lambda: None, on_failure=lambda _: None))
    desk.writer.start()
    try:
        for command in _setting():
            await desk.do(command)
        fences = []
        answers = []
        for _ in range(2):
            pulse = await desk.do(c.BeginPulse(AGENT, "process", triggered=True))
            assert pulse is not None
            fences.append(Fence(agent_lease(AGENT), pulse.fence))
            answers.append(await desk.do(c.CreateTask("p", "another"), "key", fences[-1]))
            await desk.do(c.EndPulse(pulse.id, "succeeded", failed=False))
        assert answers[0] == answers[1]
        with pytest.raises(Forbidden):
            await desk.do(c.CreateTask("p", "another"), "key", fences[0])
    finally:
        with trio.CancelScope(shield=True):
            await desk.writer.close()


def _setting() -> list[Command[Any]]:
    return [
        c.InitProject("P"),
        c.InstallSoul("shuri", "x"),
        c.CreateAgent("p", "shuri", 60.0, 300.0, 3),
        c.CreateTask("p", "one", "shuri"),
    ]


def test_a_clock_that_jumps_back_a_day_holds_up_no_task(bench: Bench, task: Task) -> None:
    bench.end(bench.begin(AGENT), failed=True, retry_delay_s=60.0)
    agent, now = bench.reads.agent(AGENT), bench.clock.now_us()
    assert not bench.reads.has_work(agent, now)
    yesterday = now - 86_400 * US
    assert bench.reads.has_work(agent, yesterday)
    pulse = bench.do(c.BeginPulse(AGENT, "process"), at=yesterday)
    assert pulse is not None
    assert pulse.task_id == task.id
    assert bench.reads.agent(AGENT).status is AgentStatus.WORKING
