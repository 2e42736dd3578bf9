"""Agents: made, copied, paused, destroyed, written to."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.storage import (
    AgentStatus,
    Conflict,
    Invalid,
    NotFound,
    ProjectState,
    PulseKind,
    TaskStatus,
)
from mission_control.storage import commands as c
from storage_bench import Bench, open_bench

AGENT = "shuri:p"
NEW = c.CreateAgent("p", "shuri", 60.0, 300.0, 3)


@pytest.fixture
def project(bench: Bench) -> str:
    bench.do(c.InstallSoul("shuri", "0" * 64))
    return bench.project().id


def test_an_agent_begins_idle_with_what_it_was_given(bench: Bench, project: str) -> None:
    agent = bench.do(attrs.evolve(NEW, command=("echo", "a b"), gateway_agent="main"))
    assert agent == bench.reads.agent(AGENT)
    assert (agent.status, agent.slot, agent.current_task_id) == (AgentStatus.IDLE, 0, None)
    assert (agent.command, agent.gateway_agent) == (("echo", "a b"), "main")
    assert bench.reads.agents(project) == bench.reads.agents() == [agent]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"soul": "../x"}, "soul"),
        ({"soul": "Shuri"}, "soul"),
        ({"soul": "x" * 49}, "soul"),
        ({"interval_s": 0.0}, "interval_s"),
        ({"interval_s": math.inf}, "interval_s"),
        ({"timeout_s": math.nan}, "timeout_s"),
        ({"max_retries": -1}, "max_retries"),
    ],
)
def test_what_is_wrong_is_named(
    bench: Bench, project: str, wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        bench.do(attrs.evolve(NEW, **wrong))
    assert refusal.value.details["field"] == field


def test_a_soul_works_once_in_a_project_and_must_be_installed(bench: Bench, project: str) -> None:
    bench.do(NEW)
    with pytest.raises(Conflict, match="exists already"):
        bench.do(NEW)
    with pytest.raises(NotFound, match="soul 'okoye'"):
        bench.do(attrs.evolve(NEW, soul="okoye"))
    with pytest.raises(NotFound, match="project 'q'"):
        bench.do(attrs.evolve(NEW, project_id="q"))


def test_an_archived_project_takes_no_agents(bench: Bench, project: str) -> None:
    bench.do(c.SetProjectState(project, ProjectState.ARCHIVED))
    with pytest.raises(Conflict, match="archived"):
        bench.do(NEW)


def test_a_destroyed_agents_task_returns_to_the_backlog(bench: Bench, project: str) -> None:
    bench.do(NEW)
    task = bench.task(project)
    bench.do(c.RecordSession(AGENT, "key", "s1", "process"))
    bench.begin(AGENT)
    bench.do(c.DestroyAgent(AGENT))
    assert bench.status(task) is TaskStatus.BACKLOG
    assert "was destroyed" in bench.reads.events(task_id=task.id)[-1].thought
    assert bench.reads.session(AGENT) is None
    with pytest.raises(NotFound):
        bench.reads.agent(AGENT)


@pytest.mark.slow
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=30))
def test_each_agent_has_the_smallest_slot_that_was_free(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, int]]
) -> None:
    with open_bench(tmp_path_factory.mktemp("slots") / "a.db") as bench:
        project = bench.project().id
        slots: dict[str, int] = {}
        for make, number in steps:
            soul = f"s{number}"
            if make and soul not in slots:
                taken = set(slots.values())
                slots[soul] = bench.agent(project, soul).slot
                assert slots[soul] == min(set(range(len(taken) + 1)) - taken)
            elif not make and soul in slots:
                bench.do(c.DestroyAgent(f"{soul}:{project}"))
                del slots[soul]
        assert {agent.soul: agent.slot for agent in bench.reads.agents()} == slots


def test_an_agent_follows_what_it_is_told_about_itself(bench: Bench, project: str) -> None:
    bench.do(NEW)
    task = bench.task(project)
    told = bench.do(c.SetAgentStatus(AGENT, AgentStatus.WORKING, task.id))
    assert (told.status, told.current_task_id) == (AgentStatus.WORKING, task.id)
    seq = bench.reads.last_seq()
    assert bench.do(c.SetAgentStatus(AGENT, AgentStatus.WORKING)) == told
    assert bench.reads.last_seq() == seq


def test_the_current_task_is_the_agents_own(bench: Bench, project: str) -> None:
    bench.do(NEW)
    free = bench.task(project, assignee=None)
    with pytest.raises(Conflict) as refusal:
        bench.do(c.SetAgentStatus(AGENT, AgentStatus.WORKING, free.id))
    assert refusal.value.details["field"] == "current_task_id"
    with pytest.raises(NotFound):
        bench.do(c.SetAgentStatus(AGENT, AgentStatus.WORKING, "no such task"))


def test_messages_are_kept_in_order_and_the_newest_are_given(bench: Bench, project: str) -> None:
    bench.do(NEW)
    for number in range(4):
        bench.do(c.SendMessage(AGENT, f"note {number}"), by="maria")
    assert [m.text for m in bench.reads.messages(AGENT, limit=2)] == ["note 2", "note 3"]


@pytest.mark.parametrize("text", ["", " \n", "x" * 20_001])
def test_an_empty_or_endless_message_is_refused(bench: Bench, project: str, text: str) -> None:
    bench.do(NEW)
    with pytest.raises(Invalid) as refusal:
        bench.do(c.SendMessage(AGENT, text))
    assert refusal.value.details["field"] == "text"


def test_a_message_to_an_unknown_agent_is_its_senders_error(bench: Bench, project: str) -> None:
    with pytest.raises(NotFound) as refusal:
        bench.do(c.SendMessage("nobody:p", "hello"))
    assert refusal.value.details["field"] == "instance_id"


def test_a_session_is_recorded_once_and_replaced_when_it_is_lost(
    bench: Bench, project: str
) -> None:
    bench.do(NEW)
    first = bench.do(c.RecordSession(AGENT, "key", "s1", "openclaw"))
    seq = bench.reads.last_seq()
    assert bench.do(c.RecordSession(AGENT, "key", "s1", "openclaw")) == first
    assert bench.reads.last_seq() == seq
    second = bench.do(c.RecordSession(AGENT, "key", "s2", "openclaw"))
    assert (second.session_id, second.version) == ("s2", 2)
    assert bench.reads.session(AGENT) == second
    assert bench.reads.agent_of_session("key") == AGENT
    assert bench.reads.agent_of_session("other") is None


def distilling(bench: Bench) -> None:
    """Let shuri finish a task outside of a pulse: she is to distil next."""
    task = bench.task("p")
    bench.end(bench.begin(AGENT))
    bench.do(c.MoveTask(task.id, TaskStatus.DONE))


def status(bench: Bench) -> AgentStatus:
    return bench.reads.agent(AGENT).status


def test_a_pause_puts_off_what_an_agent_has_to_distil(bench: Bench, project: str) -> None:
    bench.agent(project)
    distilling(bench)
    bench.do(c.SetAgentStatus(AGENT, AgentStatus.PAUSED))
    bench.do(c.SetAgentStatus(AGENT, AgentStatus.IDLE))
    assert status(bench) is AgentStatus.DISTILLING
    pulse = bench.begin(AGENT)
    assert pulse.kind is PulseKind.DISTILL
    bench.do(c.DistillMemory(AGENT, "learned"), by=AGENT, fence=bench.fence(pulse))
    bench.end(pulse)
    bench.do(c.SetAgentStatus(AGENT, AgentStatus.PAUSED))
    assert bench.do(c.SetAgentStatus(AGENT, AgentStatus.IDLE)).status is AgentStatus.IDLE


def test_a_task_that_is_finished_during_a_pause_is_distilled_after_it(
    bench: Bench, project: str
) -> None:
    bench.agent(project)
    task = bench.task("p")
    pulse = bench.begin(AGENT)
    bench.do(c.SetAgentStatus(AGENT, AgentStatus.PAUSED))
    bench.do(c.MoveTask(task.id, TaskStatus.DONE))
    bench.end(pulse)
    assert status(bench) is AgentStatus.PAUSED
    assert bench.do(c.SetAgentStatus(AGENT, AgentStatus.IDLE)).status is AgentStatus.DISTILLING


def test_an_agent_that_missed_its_chance_to_distil_owes_nothing(bench: Bench, project: str) -> None:
    bench.agent(project)
    distilling(bench)
    pulse = bench.begin(AGENT)
    bench.do(c.SetAgentStatus(AGENT, AgentStatus.PAUSED))
    bench.end(pulse, failed=True)
    assert bench.do(c.SetAgentStatus(AGENT, AgentStatus.IDLE)).status is AgentStatus.IDLE


def test_an_agent_that_distilled_while_paused_owes_nothing(bench: Bench, project: str) -> None:
    bench.agent(project)
    distilling(bench)
    bench.do(c.SetAgentStatus(AGENT, AgentStatus.PAUSED))
    bench.do(c.DistillMemory(AGENT, "learned"))
    assert status(bench) is AgentStatus.PAUSED
    assert bench.do(c.SetAgentStatus(AGENT, AgentStatus.IDLE)).status is AgentStatus.IDLE


def test_a_distilling_agent_that_is_called_idle_is_spared(bench: Bench, project: str) -> None:
    bench.agent(project)
    distilling(bench)
    assert bench.do(c.SetAgentStatus(AGENT, AgentStatus.IDLE)).status is AgentStatus.IDLE


def test_an_agent_that_is_resumed_in_mid_run_is_at_work(bench: Bench, project: str) -> None:
    bench.agent(project)
    bench.task("p")
    bench.begin(AGENT)
    bench.do(c.SetAgentStatus(AGENT, AgentStatus.PAUSED))
    assert bench.do(c.SetAgentStatus(AGENT, AgentStatus.IDLE)).status is AgentStatus.WORKING


def test_an_upgrade_is_recorded_for_the_soul_or_for_its_project_only(
    bench: Bench, project: str
) -> None:
    before = bench.agent(project)
    bench.do(c.UpgradeAgent(AGENT, "1" * 64, refinement=True))
    assert [soul["sha256"] for soul in bench.table("souls")] == ["0" * 64]
    bench.do(c.UpgradeAgent(AGENT, "2" * 64, refinement=False))
    assert [soul["sha256"] for soul in bench.table("souls")] == ["2" * 64]
    assert bench.reads.agent(AGENT).version == before.version + 2
    kinds = [(event.kind, event.agent_id) for event in bench.reads.events(project_id=project)]
    assert kinds == [("upgraded", AGENT)] * 2


def test_an_agent_that_is_made_again_is_not_told_what_its_predecessor_did_not_read(
    bench: Bench, project: str
) -> None:
    bench.do(NEW)
    read = bench.do(c.SendMessage(AGENT, "Read me."))
    bench.end(bench.begin(AGENT))
    bench.do(c.SendMessage(AGENT, "For the old one."))
    bench.do(c.DestroyAgent(AGENT))
    bench.do(NEW)
    assert bench.do(c.BeginPulse(AGENT, "process")) is None
    assert [message.id for message in bench.reads.messages(AGENT)] == [read.id]
