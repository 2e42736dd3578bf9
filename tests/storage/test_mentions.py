"""Who is called in what somebody says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.storage import PulseKind, TaskStatus
from mission_control.storage import commands as c
from mission_control.storage.commands._mentions import MAX_MENTIONED, mentioned
from storage_bench import Bench


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@shuri look", ["shuri"]),
        ("(@shuri), *@okoye*; @shuri again.", ["shuri", "okoye"]),
        ("@Shuri: yes", ["shuri"]),
        ("@shuri's notes", ["shuri"]),
        ("@shuri.\nAnother line", ["shuri"]),
        ("@dora-milaje- and", ["dora-milaje"]),
        ("> @shuri", ["shuri"]),
        ("`open @shuri", ["shuri"]),
        ("a@shuri", []),
        ("a.b+c@shuri.org", []),
        ("@shuri.org", []),
        ("@types/node", []),
        ("https://a.org/@shuri", []),
        ("@@shuri", []),
        (r"\@shuri", []),
        ("`@shuri`", []),
        ("``a ` @shuri``, @okoye", ["okoye"]),
        ("```py\n@shuri\n```\n@okoye", ["okoye"]),
        ("~~~\n@shuri", []),
        ("@", []),
        ("@ shuri", []),
        ("é@shuri", []),
    ],
)
def test_a_name_is_called_in_prose_and_nowhere_else(text: str, names: list[str]) -> None:
    assert mentioned(text) == names


@given(st.text(alphabet="@shuri`~\n .-/é", max_size=60))
def test_any_text_has_an_answer_and_none_in_code(text: str) -> None:
    assert len(mentioned(text)) <= MAX_MENTIONED
    assert mentioned(f"````\n{text.replace('`', '')}\n````") == []


def test_a_list_of_names_wakes_only_so_many() -> None:
    assert len(mentioned(" ".join(f"@a{n}" for n in range(100)))) == MAX_MENTIONED


@pytest.fixture
def crew(bench: Bench) -> Bench:
    bench.project()
    for soul in ("shuri", "okoye"):
        bench.agent("p", soul)
    return bench


def told(bench: Bench, agent_id: str) -> list[tuple[str, str]]:
    return [(message.sender, message.text) for message in bench.reads.messages(agent_id)]


def test_who_is_called_in_a_thought_is_woken_to_read_it(crew: Bench) -> None:
    task = crew.task("p")
    crew.do(c.LogEvent(task.id, "@okoye knows, @shuri and @nobody do not"), by="shuri:p")
    assert told(crew, "shuri:p") == [], "nobody calls themselves"
    ((sender, text),) = told(crew, "okoye:p")
    assert sender == "shuri:p"
    assert f"mentioned you in a thought on task {task.id}: @okoye knows" in text
    assert crew.begin("okoye:p").kind is PulseKind.MESSAGE


def test_who_is_called_in_the_chronicle_is_told(crew: Bench) -> None:
    crew.do(c.UpdateChronicle("p", "Shipped.", "@okoye: tests are missing"), by="maria")
    ((sender, text),) = told(crew, "okoye:p")
    assert (sender, "the chronicle" in text) == ("maria", True)


def test_who_is_called_in_a_message_is_told_beside_the_one_it_is_for(crew: Bench) -> None:
    crew.do(c.SendMessage("shuri:p", "@shuri, ask @okoye"), by="maria")
    assert told(crew, "shuri:p") == [("maria", "@shuri, ask @okoye")]
    ((_, text),) = told(crew, "okoye:p")
    assert "a message to shuri:p" in text


def test_who_is_called_in_an_answer_is_told_beside_the_one_who_asked(crew: Bench) -> None:
    task = crew.task("p")
    crew.end(crew.begin("shuri:p"))
    asked = crew.do(c.RequestHelp(task.id, "Which one?"))
    crew.do(c.AnswerHelp(asked.id, "The first, @okoye helps"), by="maria")
    assert crew.status(task) is TaskStatus.IN_PROGRESS
    assert len(told(crew, "shuri:p")) == len(told(crew, "okoye:p")) == 1


def test_nobody_of_another_project_is_called(crew: Bench) -> None:
    crew.project("Q")
    crew.agent("q", "griot")
    crew.do(c.UpdateChronicle("p", "@griot and @griot:q"))
    assert told(crew, "griot:q") == []


def talk(bench: Bench, pulses: int) -> list[int | None]:
    """Let shuri and okoye mention each other in all that they say; return when each is woken."""
    due, souls = [], ("shuri", "okoye")
    tasks = {soul: bench.task("p", soul, None).id for soul in souls}
    pulse = bench.begin("shuri:p", triggered=True)
    for number in range(pulses):
        me, you = souls[number % 2], souls[1 - number % 2]
        bench.do(c.LogEvent(tasks[me], f"@{you}, over to you"), by=f"{me}:p")
        bench.end(pulse)
        due.append(bench.reads.messages(f"{you}:p")[-1].not_before)
        bench.clock.advance(0 if due[-1] is None else 60)
        pulse = bench.begin(f"{you}:p")
    return due


def test_agents_that_go_on_mentioning_each_other_come_to_talk_by_their_schedules(
    crew: Bench,
) -> None:
    due = talk(crew, 8)
    assert due[:5] == [None] * 5
    assert all(each is not None for each in due[5:])


def test_who_was_shown_no_message_wakes_others_at_once_again(crew: Bench) -> None:
    talk(crew, 8)
    pulse = crew.reads.open_pulse("shuri:p")
    assert pulse is not None
    crew.end(pulse)
    crew.begin("shuri:p", triggered=True)
    sent = crew.do(c.SendMessage("okoye:p", "Something new."), by="shuri:p")
    assert (sent.hops, sent.not_before) == (0, None)


def test_a_task_that_is_handed_to_and_fro_comes_to_wait_with_the_notes(crew: Bench) -> None:
    task = crew.task("p")
    souls, waits = ("shuri", "okoye"), []
    for number in range(8):
        me, you = souls[number % 2], souls[1 - number % 2]
        pulse = crew.begin(f"{me}:p")
        given = crew.do(c.HandOffTask(task.id, you, "yours", by_agent=f"{me}:p"), by=f"{me}:p")
        crew.end(pulse)
        waits.append(given.not_before)
        crew.clock.advance(0 if given.not_before is None else 60)
    assert waits[:5] == [None] * 5
    assert None not in waits[5:]
