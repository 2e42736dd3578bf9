"""Ready-made command lines of coding agents, and what is understood of what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.actors._output import MAX_OUTPUT_CHARS, Output
from mission_control.actors._profiles import PROFILES, profile_command, profile_of
from mission_control.actors._report import MAX_LINE_BYTES, Hear, Lines, claude, codex, gemini
from mission_control.actors._runner import Outcome, OutcomeKind, Progress
from mission_control.storage import Invalid

CLAUDE: list[dict[str, Any]] = [
    {"type": "system", "subtype": "init", "session_id": "s", "tools": ["Bash"]},
    {"type": "assistant", "message": {"content": [{"type": "text", "text": "Looking."}]}},
    {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "result": "Done: two files.",
        "total_cost_usd": 0.0425,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 300,
            "output_tokens": 4,
            "service_tier": "standard",
        },
    },
]
CODEX: list[dict[str, Any]] = [
    {"type": "thread.started", "thread_id": "t"},
    {"type": "turn.started"},
    {"type": "item.completed", "item": {"id": "1", "type": "reasoning", "text": "Hm."}},
    {"type": "item.completed", "item": {"id": "2", "type": "agent_message", "text": "Done."}},
    {
        "type": "turn.completed",
        "usage": {"input_tokens": 100, "cached_input_tokens": 90, "output_tokens": 7},
    },
]
GEMINI: list[dict[str, Any]] = [
    {"type": "init", "session_id": "s", "model": "m"},
    {"type": "message", "role": "user", "content": "prompt"},
    {"type": "message", "role": "assistant", "content": "Do", "delta": True},
    {"type": "message", "role": "assistant", "content": "ne.", "delta": True},
    {"type": "result", "status": "success", "stats": {"total_tokens": 55, "input_tokens": 50}},
]


def heard(hear: Hear, events: list[dict[str, Any]], code: int = 0) -> Outcome:
    output = Output(hear)
    text = "a warning on stderr\n" + "".join(json.dumps(event) + "\n" for event in events)
    for at in range(0, len(text), 7):  # pipes cut where they like
        output.add(text[at : at + 7].encode())
    return output.outcome(code)


def test_claude_tells_cost_tokens_and_its_last_words() -> None:
    outcome = heard(claude, CLAUDE)
    assert outcome == Outcome(OutcomeKind.SUCCEEDED, "", "Done: two files.", 334, 0.0425)


def test_claude_that_is_cut_short_has_told_what_its_messages_took() -> None:
    def part(id_: str, text: str, tokens: int) -> dict[str, Any]:
        usage = {"input_tokens": 10, "output_tokens": tokens}
        content = [{"type": "text", "text": text}]
        return {"type": "assistant", "message": {"id": id_, "content": content, "usage": usage}}

    output = Output(claude)
    for event in (part("1", "Looking.", 1), part("1", "Found it.", 5), part("2", "And", 2)):
        output.add(json.dumps(event).encode() + b"\n")
    assert output.progress == Progress("And", 15 + 12)
    output.add(json.dumps(CLAUDE[-1]).encode() + b"\n")
    assert output.progress == Progress("Done: two files.", 334, 0.0425), "the end tells all"


def test_codex_tells_tokens_and_its_last_words() -> None:
    assert heard(codex, CODEX) == Outcome(OutcomeKind.SUCCEEDED, "", "Done.", 107)
    assert heard(codex, [*CODEX, *CODEX]).tokens == 214


def test_gemini_tells_tokens_and_its_last_words() -> None:
    assert heard(gemini, GEMINI) == Outcome(OutcomeKind.SUCCEEDED, "", "Done.", 55)


@pytest.mark.parametrize(
    ("hear", "events", "why"),
    [
        (
            claude,
            [{"type": "result", "subtype": "error_max_turns", "is_error": True}],
            "error_max_turns",
        ),
        (claude, [{"type": "result", "is_error": True, "result": "Credit is low"}], "Credit is"),
        (codex, [{"type": "turn.failed", "error": {"message": "no quota"}}], "no quota"),
        (
            gemini,
            [{"type": "result", "status": "error", "error": {"message": "no key"}}],
            "no key",
        ),
    ],
)
def test_an_agent_that_says_it_failed_has_failed_whatever_its_exit_code(
    hear: Hear, events: list[dict[str, Any]], why: str
) -> None:
    outcome = heard(hear, events)
    assert outcome.kind is OutcomeKind.FAILED
    assert why in outcome.detail


def test_an_exit_code_counts_even_where_the_agent_says_it_did_well() -> None:
    outcome = heard(claude, CLAUDE, code=3)
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.detail.startswith("exit code 3")
    assert outcome.tokens == 334


@pytest.mark.parametrize("hear", [claude, codex, gemini])
@given(
    event=st.dictionaries(
        st.sampled_from(
            ["type", "result", "usage", "total_cost_usd", "item", "error", "stats", "role"]
        ),
        st.recursive(
            st.none()
            | st.booleans()
            | st.floats()
            | st.integers()
            | st.sampled_from(["result", "item.completed", "turn.completed", "message", "x"]),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("abc"), inner),
            max_leaves=4,
        ),
    )
)
def test_whatever_a_tool_says_is_no_trouble(hear: Hear, event: dict[str, Any]) -> None:
    heard(hear, [event])


@pytest.mark.parametrize("number", [float("nan"), -1, True, "1", float("inf"), 10**400])
def test_a_number_that_no_attempt_takes_is_not_believed(number: object) -> None:
    usage = {"input_tokens": number}
    report = heard(claude, [{"type": "result", "total_cost_usd": number, "usage": usage}])
    assert (report.cost_usd, report.tokens) == (None, None)


def test_a_line_that_never_ends_is_passed_over_and_the_next_is_heard() -> None:
    lines = Lines()
    for _ in range(MAX_LINE_BYTES // 1000 + 10):
        assert list(lines.feed(b"{" * 1000)) == []
    assert list(lines.feed(b'\n{"a": 1}\n')) == [{"a": 1}]
    assert list(lines.feed(b'[1]\n{"a":\n{"b": 2}\n')) == [{"b": 2}]


def test_of_other_commands_the_end_of_what_they_wrote_is_kept() -> None:
    output = Output(lambda said, _: said)
    output.add(b"x" * 100_000 + "é".encode() + b"\xff end\n")
    outcome = output.outcome(0)
    assert len(outcome.output) <= MAX_OUTPUT_CHARS
    assert outcome.output.endswith("xé\ufffd end")


@pytest.mark.parametrize(
    ("code", "why"), [(1, "exit code 1: last"), (-9, "killed by signal 9: last")]
)
def test_a_failure_names_the_exit_code_and_the_last_line(code: int, why: str) -> None:
    output = Output(lambda said, _: said)
    output.add(b"first\nlast\n")
    assert output.outcome(code, " (held)").detail == why


def test_who_was_refused_something_is_told_where_to_look() -> None:
    output = Output(lambda said, _: said)
    output.add(b"cat: x: Permission denied\n")
    assert output.outcome(1, " (held)").detail.endswith("(held)")
    assert output.outcome(0, " (held)").kind is OutcomeKind.SUCCEEDED


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_each_profile_is_named_like_its_program_and_passes_on_nothing_of_ours(name: str) -> None:
    profile = PROFILES[name]
    assert profile.command[0] == name
    assert profile_of(profile_command(name)) is profile
    assert profile_of((f"@{name}", "--model", "x")) is profile
    assert not [key for key in profile.pass_on if key.startswith(("MISSION_CONTROL", "OPENCLAW"))]
    assert all(place.startswith("~/") for place in profile.write)


def test_a_command_is_no_profile_and_an_unknown_profile_is_refused_with_what_there_is() -> None:
    assert profile_of(("claude", "-p")) is None
    assert profile_of(()) is None
    with pytest.raises(Invalid, match="take one of claude, codex, gemini"):
        profile_of(("@aider",))
