"""Templates: a wrong one is refused where it is made, so that none fails where it is used."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.actors._status_text import DEFAULT, TEMPLATE, status_text
from mission_control.actors._template import MAX_CHARS, PLACEHOLDERS, parse_template
from mission_control.storage import Invalid
from standing import FULL

VALUES = {name: f"<{name}>" for name in PLACEHOLDERS}


def test_placeholders_are_filled_and_nothing_in_their_values_is() -> None:
    template = parse_template("{task_title} for {agent_id}", "x")
    values = VALUES | {"task_title": "Write {it}", "agent_id": "{task_id}"}
    assert template.fill(values) == "Write {it} for {task_id}"
    assert template.names == {"task_title", "agent_id"}


def test_a_brace_that_is_meant_is_written_twice() -> None:
    assert parse_template('{{"task": "{task_id}"}}', "x").fill(VALUES) == '{"task": "<task_id>"}'


@pytest.mark.parametrize(
    ("text", "place", "said", "name"),
    [
        ("one\ntwo {nonsense}\n", "x:2: ", "unknown placeholder '{nonsense}'", "nonsense"),
        ("{task_id!r}", "x:1: ", "unknown placeholder", "task_id!r"),
        ("{task_id:>9}", "x:1: ", "unknown placeholder", "task_id:>9"),
        ("{project_id.__class__}", "x:1: ", "unknown placeholder", "project_id.__class__"),
        ("{}", "x:1: ", "unknown placeholder", ""),
        ("\n\n{task_id", "x:3: ", "a lone '{': write '{{'", None),
        ("a } b", "x:1: ", "a lone '}': write '}}'", None),
    ],
)
def test_what_is_no_placeholder_is_refused_with_its_place_its_name_and_what_is_allowed(
    text: str, place: str, said: str, name: str | None
) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_template(text, "x")
    message, details = refusal.value.message, refusal.value.details
    assert message.startswith(place)
    assert said in message
    assert details["field"] == "template"
    assert (details["line"], details["placeholder"]) == (int(place[2]), name)
    if name is not None:
        assert all(each in message for each in PLACEHOLDERS)


@pytest.mark.parametrize("text", ["", " \n", "x" * (MAX_CHARS + 1)])
def test_a_template_says_something_and_not_too_much(text: str) -> None:
    with pytest.raises(Invalid, match="1 to 32000 characters"):
        parse_template(text, "x")


@given(st.text(st.characters(exclude_characters="{}"), min_size=1), st.sampled_from([*VALUES]))
def test_any_text_without_braces_stays_as_it_is(text: str, name: str) -> None:
    template = parse_template(f"x{text}{{{name}}}{text}", "x")
    assert template.fill(VALUES) == f"x{text}<{name}>{text}"


@given(st.text(alphabet="{}at_isk\n", max_size=30))
def test_whatever_is_accepted_can_be_filled(text: str) -> None:
    try:
        template = parse_template(text, "x")
    except Invalid:
        return
    template.fill(VALUES)


def test_every_placeholder_has_a_value_in_a_status_text() -> None:
    everything = parse_template(" ".join(f"{name}={{{name}}}" for name in PLACEHOLDERS), "x")
    text = status_text(FULL, everything)
    assert "working=half done" in text
    assert "soul=You are Shuri." in text
    assert "[" not in text, "what stands in the template is not added to it again"


def test_memory_that_a_template_has_no_place_for_follows_it() -> None:
    text = status_text(FULL, parse_template("Rules: {context}\n", "x"))
    assert text.startswith("Rules: No tabs.\n\n[TASK DESCRIPTION]\nAll of it.\n")
    assert "[YOUR WORKING NOTES]\nhalf done\n" in text
    assert "[PROJECT RULES]" not in text


def test_the_built_in_template_is_the_one_of_the_contract() -> None:
    assert DEFAULT.text == TEMPLATE
    assert status_text(FULL) == status_text(attrs.evolve(FULL), DEFAULT)
