"""Projects and souls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.storage import AgentStatus, Invalid, NotFound, ProjectState, slug
from mission_control.storage import commands as c
from storage_bench import Bench


def test_a_project_is_called_after_its_name(bench: Bench) -> None:
    project = bench.do(c.InitProject(" Vidsnap 2! "))
    assert (project.id, project.name) == ("vidsnap-2", "Vidsnap 2!")
    assert project.state is ProjectState.ACTIVE
    assert bench.reads.projects() == [bench.reads.project("vidsnap-2")] == [project]


def test_a_taken_id_gets_a_number_also_where_only_the_folder_is_left(bench: Bench) -> None:
    taken = ("vidsnap-2", "vidsnap-3")
    assert bench.do(c.InitProject("vidsnap", taken=taken)).id == "vidsnap"
    assert bench.do(c.InitProject("Vidsnap!", taken=taken)).id == "vidsnap-4"
    assert bench.do(c.InitProject("VIDSNAP", taken=taken)).id == "vidsnap-5"


@pytest.mark.parametrize("name", ["", "  ", "!?", "x" * 201])
def test_a_name_that_makes_no_id_is_refused(bench: Bench, name: str) -> None:
    with pytest.raises(Invalid) as refusal:
        bench.do(c.InitProject(name))
    assert refusal.value.details["field"] == "project_name"


@given(st.text(max_size=100))
def test_a_slug_is_a_safe_folder_name_or_nothing(name: str) -> None:
    made = slug(name)
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(made) <= 48
    assert not made.startswith("-")
    assert not made.endswith("-")
    assert slug(made) == made


def test_a_project_with_a_base_begins_with_its_agents_and_none_of_its_tasks(bench: Bench) -> None:
    base = bench.project("Base").id
    for soul in ("shuri", "okoye"):
        bench.agent(base, soul, max_retries=7)
    bench.task(base)
    bench.begin(f"shuri:{base}")
    bench.do(c.SetAgentStatus(f"shuri:{base}", AgentStatus.DISTILLING))
    assert bench.reads.agent(f"shuri:{base}").owes_memory
    copy = bench.do(c.InitProject("Copy", base))
    assert copy.base_id == base
    agents = bench.reads.agents(copy.id)
    assert {(a.id, a.slot) for a in agents} == {("shuri:copy", 2), ("okoye:copy", 3)}
    for agent in agents:
        assert (agent.status.value, agent.current_task_id, agent.version) == ("idle", None, 1)
        assert (agent.max_retries, agent.owes_memory) == (7, False)
    assert bench.reads.board(copy.id) == []


def test_an_unknown_base_is_refused(bench: Bench) -> None:
    with pytest.raises(NotFound, match="'nowhere'"):
        bench.do(c.InitProject("Copy", "nowhere"))


def test_a_renamed_project_keeps_its_id(bench: Bench) -> None:
    bench.project("P")
    renamed = bench.do(c.RenameProject("p", " Проект "))
    assert (renamed.id, renamed.name, renamed.version) == ("p", "Проект", 2)
    with pytest.raises(Invalid):
        bench.do(c.RenameProject("p", " "))


def test_a_project_is_archived_and_comes_back(bench: Bench) -> None:
    project = bench.project("P")
    archived = bench.do(c.SetProjectState("p", ProjectState.ARCHIVED))
    assert archived.state is ProjectState.ARCHIVED
    assert bench.do(c.SetProjectState("p", ProjectState.ARCHIVED)) == archived
    assert bench.do(c.SetProjectState("p", ProjectState.ACTIVE)).version == project.version + 2


def test_a_new_text_is_a_new_version_of_a_soul(bench: Bench) -> None:
    first = bench.do(c.InstallSoul("shuri", "a" * 64))
    assert bench.do(c.InstallSoul("shuri", "a" * 64)) == first
    assert bench.do(c.InstallSoul("shuri", "b" * 64)).version == 2
