from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.gateway_bridge._frames import (
    Answer,
    Challenged,
    Conversation,
    Event,
    Failure,
    Greeted,
    Ignored,
    News,
    Settled,
    State,
    Turned,
    WireError,
)
from mission_control.gateway_bridge._refusals import (
    GatewayRefused,
    check_scopes,
    refusal,
    to_mission_error,
)
from mission_control.storage import (
    Forbidden,
    Internal,
    Invalid,
    Limited,
    MissionError,
    Unauthenticated,
    Unavailable,
)

RECORDED = [
    json.loads(line)
    for line in (Path(__file__).parent / "frames.jsonl").read_text(encoding="utf-8").splitlines()
]
RUN = "11579b29-63ed-4480-8dbb-2df87391e5b5"
URL = "ws://127.0.0.1:1/"
CHALLENGE = json.dumps({"type": "event", "event": "connect.challenge", "payload": {}})


def replay(scene: str) -> Iterator[News]:
    """Say what was said, and yield what was understood of the replies."""
    conversation, ids = Conversation(), dict[str, str]()
    for line in RECORDED:
        frame = line["frame"]
        if line["scene"] != scene:
            continue
        if line["dir"] == "recv":
            frame = {**frame, "id": ids.get(frame.get("id"), "")}
            yield conversation.receive(json.dumps(frame))
        elif frame["method"] == "connect":
            ids[frame["id"]] = json.loads(conversation.connect("a token", version="1"))["id"]
        else:
            ids[frame["id"]], _ = conversation.request(frame["method"], frame["params"])


def opened() -> Conversation:
    conversation = Conversation()
    conversation.receive(CHALLENGE)
    conversation.connect("a token", version="1")
    hello = {"type": "res", "id": "0", "ok": True, "payload": {"type": "hello-ok"}}
    assert isinstance(conversation.receive(json.dumps(hello)), Greeted)
    return conversation


def event(seq: int) -> str:
    return json.dumps({"type": "event", "event": "tick", "payload": {}, "seq": seq})


def test_a_recorded_greeting_names_the_gateways_life() -> None:
    challenged, hello, *_ = replay("a run")
    assert isinstance(challenged, Challenged)
    assert challenged.nonce
    assert challenged.at_ms > 1_700_000_000_000
    assert isinstance(hello, Greeted)
    assert hello.boot_id
    assert hello.version == "2026.9.6"
    assert hello.tick_interval_s == 30
    check_scopes(URL, hello)


def test_a_recorded_run_is_answered_twice() -> None:
    news = list(replay("a run"))
    accepted = [n for n in news if isinstance(n, Answer) and n.payload.get("status") == "accepted"]
    settled = [n for n in news if isinstance(n, Settled)]
    assert len(accepted) == len(settled) == 1
    assert settled[0].run_id == RUN
    assert settled[0].payload["result"]["meta"]["agentMeta"]["usage"]["total"] == 49486


def test_recorded_events_keep_their_streams() -> None:
    streams = [
        n.payload["stream"]
        for n in replay("a run")
        if isinstance(n, Event) and n.name == "agent" and n.payload["runId"] == RUN
    ]
    assert {"lifecycle", "assistant", "tool", "command_output"} <= set(streams)


@pytest.mark.parametrize(
    ("scene", "kind", "says"),
    [
        ("wrong token", GatewayRefused, "the token (AUTH_TOKEN_MISMATCH): check --token-file"),
        ("other protocol", GatewayRefused, "us (PROTOCOL_MISMATCH): we speak protocol 4"),
        ("starting", Unavailable, "is not ready"),
    ],
)
def test_a_recorded_refusal_says_what_to_do(scene: str, kind: type, says: str) -> None:
    *_, turned = replay(scene)
    assert isinstance(turned, Turned)
    error = refusal(URL, turned.error)
    assert type(error) is kind
    assert says in error.message
    assert URL in error.message
    assert "\n" not in error.message


def test_recorded_failures_become_errors_of_our_taxonomy() -> None:
    unknown, stopping = (n.error for n in replay("refusals") if isinstance(n, Failure))
    assert isinstance(to_mission_error("x", unknown), Invalid)
    error = to_mission_error("x", stopping)
    assert isinstance(error, Unavailable)
    assert error.retry_after_ms == 1000


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (WireError("FORBIDDEN", ""), Forbidden),
        (WireError("NOT_PAIRED", ""), Unauthenticated),
        (WireError("UNAVAILABLE", "", {"limit": "30 per 60s"}, retryable=True), Limited),
        (WireError("NEW_CODE", "", retryable=True), Unavailable),
        (WireError("NEW_CODE", ""), Invalid),
    ],
)
def test_each_code_has_its_kind(error: WireError, kind: type[MissionError]) -> None:
    assert type(to_mission_error("x", error)) is kind


def test_withheld_scopes_are_a_refusal() -> None:
    with pytest.raises(GatewayRefused, match=r"withholds operator\.admin"):
        check_scopes(URL, Greeted("b", scopes=("operator.read", "operator.write")))


def test_nothing_may_be_asked_before_the_greeting() -> None:
    with pytest.raises(Internal):
        Conversation().request("health", {})
    with pytest.raises(Internal):
        Conversation().connect("a token", version="1")


def test_a_greeting_that_is_none_is_a_refusal() -> None:
    conversation = Conversation()
    conversation.receive(CHALLENGE)
    conversation.connect("a token", version="1")
    assert isinstance(conversation.receive('{"type": "res"}'), Turned)
    assert conversation.state is State.REFUSED


def test_missing_numbers_are_counted_as_missed_events() -> None:
    conversation = opened()
    missed = [
        news.missed
        for seq in (7, 8, 11, 2, 3)
        if isinstance(news := conversation.receive(event(seq)), Event)
    ]
    assert missed == [0, 0, 2, 0, 0]


def test_an_answer_to_nothing_we_asked_is_ignored() -> None:
    conversation = opened()
    id_, _ = conversation.request("health", {})
    answer = json.dumps({"type": "res", "id": id_, "ok": True, "payload": {}})
    assert isinstance(conversation.receive(answer), Answer)
    assert isinstance(conversation.receive(answer), Ignored)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
frames = st.fixed_dictionaries(
    {"type": st.sampled_from(["res", "event", "req"]) | json_values},
    optional={
        "id": st.sampled_from(["0", "1"]) | json_values,
        "ok": st.booleans() | json_values,
        "event": st.just("connect.challenge") | json_values,
        "seq": json_values,
        "error": st.dictionaries(
            st.sampled_from(["code", "message", "details", "retryable", "retryAfterMs"]),
            json_values,
        )
        | json_values,
        "payload": st.dictionaries(
            st.sampled_from(["type", "status", "runId", "server", "policy", "auth"]), json_values
        )
        | json_values,
    },
)


@pytest.mark.slow
@given(said=st.lists(frames | json_values, max_size=6), early=st.booleans())
def test_no_frame_can_break_the_conversation(said: list[Any], early: bool) -> None:
    conversation = Conversation() if early else opened()
    if not early:
        conversation.request("agent", {})
    for frame in said:
        match conversation.receive(json.dumps(frame)):
            case Turned(error=error):
                assert refusal(URL, error).message
            case Failure(error=error):
                assert to_mission_error("x", error).message
            case _:
                pass


@given(st.text() | st.binary())
def test_no_text_can_break_the_conversation(text: str | bytes) -> None:
    conversation = opened()
    conversation.receive(text)
    assert conversation.state is State.OPEN


def test_deep_nesting_cannot_break_the_conversation() -> None:
    assert isinstance(opened().receive("[" * 100_000), Ignored)


@given(method=st.text(), params=st.dictionaries(st.text(), st.text() | st.integers()))
def test_what_we_ask_arrives_as_it_was_said(method: str, params: dict[str, Any]) -> None:
    id_, text = opened().request(method, params)
    expected = {"type": "req", "id": id_, "method": method, "params": params}
    assert json.loads(text) == expected
