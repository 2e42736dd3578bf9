"""What the Gateway's payloads tell of a run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.actors import OutcomeKind
from mission_control.gateway_bridge._frames import Answer, Settled
from mission_control.gateway_bridge._transcript import Transcript, outcome_of

from .test_frames import json_values, replay

INTERRUPTED = "d1194c81-7aee-4be9-b0dd-6d3e6ba01406"


def crashed_history() -> dict[str, Any]:
    *_, answer = replay("after a crash")
    assert isinstance(answer, Answer)
    return dict(answer.payload)


def test_the_second_answer_tells_text_and_cost() -> None:
    (settled,) = (n for n in replay("a run") if isinstance(n, Settled))
    outcome = outcome_of(settled.payload)
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert outcome.output == "All done."
    assert outcome.tokens == 49486
    assert outcome.cost_usd == 0


def test_waiting_tells_the_text() -> None:
    (waited,) = (n for n in replay("a run") if isinstance(n, Answer) and "endedAt" in n.payload)
    outcome = outcome_of(waited.payload)
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert outcome.output == "All done."


def test_an_aborted_run_is_aborted_by_both_accounts() -> None:
    news = list(replay("an abort"))
    ends = [n.payload for n in news if isinstance(n, Settled)]
    ends += [n.payload for n in news if isinstance(n, Answer) and "endedAt" in n.payload]
    assert [outcome_of(end).kind for end in ends] == [OutcomeKind.ABORTED] * 2


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ({"status": "timeout", "endedAt": 1, "timeoutPhase": "provider"}, OutcomeKind.TIMED_OUT),
        ({"status": "error", "stopReason": "restart"}, OutcomeKind.ABORTED),
        ({"status": "error", "error": "no model"}, OutcomeKind.FAILED),
        ({"status": "refused", "error": "draining"}, OutcomeKind.NOT_STARTED),
        ({"status": "something new"}, OutcomeKind.FAILED),
    ],
)
def test_each_way_to_end_has_its_kind(end: dict[str, Any], kind: OutcomeKind) -> None:
    outcome = outcome_of(end)
    assert outcome.kind is kind
    assert outcome.detail


def test_a_turn_that_the_gateway_finished_after_its_crash_succeeded() -> None:
    outcome = Transcript.of(crashed_history(), INTERRUPTED).outcome()
    assert outcome is not None
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert outcome.output.endswith("RECOVERED")
    assert outcome.tokens == 24739 + 16534


def test_a_turn_without_a_last_word_is_open() -> None:
    history = crashed_history()
    history["messages"] = history["messages"][:5]
    assert Transcript.of(history, INTERRUPTED).outcome() is None


def test_a_run_whose_message_is_missing_never_began() -> None:
    outcome = Transcript.of(crashed_history(), "another-run").outcome()
    assert outcome is not None
    assert outcome.kind is OutcomeKind.NOT_STARTED


def test_a_run_whose_message_may_be_further_back_is_open() -> None:
    history = {**crashed_history(), "hasMore": True}
    assert Transcript.of(history, "another-run").outcome() is None


def test_a_run_in_a_session_that_is_gone_is_lost() -> None:
    outcome = Transcript.of({"messages": []}, "a-run").outcome()
    assert outcome is not None
    assert outcome.kind is OutcomeKind.LOST


def test_what_was_said_after_the_next_message_is_not_the_runs() -> None:
    history = crashed_history()
    earlier = "745ccd55-9d7d-4c5f-98dd-5aa5a682c09f"
    outcome = Transcript.of(history, earlier).outcome()
    assert outcome is not None
    assert outcome.output == "warm"


def test_an_aborted_turn_did_not_succeed() -> None:
    history = crashed_history()
    history["messages"][-1]["openclawAbort"] = {"aborted": True}
    outcome = Transcript.of(history, INTERRUPTED).outcome()
    assert outcome is not None
    assert outcome.kind is OutcomeKind.ABORTED


@pytest.mark.slow
@given(
    st.dictionaries(
        st.sampled_from(["status", "stopReason", "result", "terminalReply", "error", "summary"]),
        json_values | st.fixed_dictionaries({"payloads": json_values, "meta": json_values}),
    )
)
def test_no_end_can_break_the_reader(end: dict[str, Any]) -> None:
    assert outcome_of(end).kind in OutcomeKind


@pytest.mark.parametrize("total", [True, "7", 7.5, None, [7]])
def test_a_count_of_tokens_that_is_no_whole_number_counts_as_none_told(total: object) -> None:
    usage = {"agentMeta": {"usage": {"total": total}}}
    assert outcome_of({"status": "ok", "result": {"meta": usage}}).tokens is None
    row = {"role": "user", "idempotencyKey": "r:user"}
    said = {"role": "assistant", "usage": {"totalTokens": total}}
    assert Transcript.of({"sessionId": "s", "messages": [row, said]}, "r").tokens is None


@given(
    st.fixed_dictionaries(
        {"sessionId": st.just("s"), "hasMore": json_values},
        optional={
            "messages": st.lists(
                st.fixed_dictionaries(
                    {
                        "role": st.sampled_from(["user", "assistant"]) | json_values,
                        "idempotencyKey": st.just("r:user") | json_values,
                        "usage": json_values,
                        "content": json_values,
                        "stopReason": st.just("stop") | json_values,
                    }
                )
                | json_values,
                max_size=4,
            )
            | json_values
        },
    )
)
def test_no_transcript_can_break_the_reader(history: dict[str, Any]) -> None:
    Transcript.of(history, "r").outcome()
