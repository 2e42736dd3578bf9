"""JSON-RPC 2.0: the examples of its specification, and that nothing at all is too odd to parse."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.gateway_bridge._jsonrpc import (
    MAX_BATCH,
    Call,
    Malformed,
    dump,
    failure,
    notification,
    parse,
    success,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
callish = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.sampled_from(["2.0", "1.0", 2.0]),
        "method": st.sampled_from(["m", "rpc.x", "", 1]),
        "params": json_values,
        "id": json_values,
        "else": json_values,
    },
)


def _refused(text: str | bytes) -> list[tuple[int, Any]]:
    """The code and the id of each answer that *text* gets without being called."""
    found = []
    for item in parse(text).items:
        assert isinstance(item, Malformed)
        assert item.answer["jsonrpc"] == "2.0"
        found.append((item.answer["error"]["code"], item.answer["id"]))
    return found


def test_a_request_with_named_parameters() -> None:
    text = '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42}, "id": 3}'
    assert parse(text).items == (Call("subtract", {"minuend": 42}, 3),)
    assert not parse(text).batch


@pytest.mark.parametrize("id_", ["a", 3, 3.5, None])
def test_ids_are_strings_numbers_or_null(id_: object) -> None:
    (call,) = parse(json.dumps({"jsonrpc": "2.0", "method": "m", "id": id_})).items
    assert isinstance(call, Call)
    assert (call.id, call.wants_answer) == (id_, True)


def test_a_call_without_an_id_wants_no_answer() -> None:
    (call,) = parse('{"jsonrpc": "2.0", "method": "foobar"}').items
    assert call == Call("foobar", {}, None, wants_answer=False)


@pytest.mark.parametrize(
    "text",
    [
        '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
        '[{"jsonrpc": "2.0", "method": "sum", "id": "1"}, {"jsonrpc": "2.0", "method"',
        "",
        b"\xff\xfe\x00",
        '{"jsonrpc": "2.0", "method": "m", "id": NaN}',
        '{"jsonrpc": "2.0", "method": "m", "id": -Infinity}',
        "[" * 100_000,
        "1" * 10_000,
    ],
)
def test_what_is_no_json_is_a_parse_error(text: str | bytes) -> None:
    assert _refused(text) == [(-32700, None)]
    assert not parse(text).batch


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', None),
        ('{"jsonrpc": "2.0", "id": 5}', 5),
        ('{"jsonrpc": "1.0", "method": "m", "id": 5}', 5),
        ('{"method": "m", "id": "a"}', "a"),
        ('{"jsonrpc": "2.0", "method": "m", "id": {}}', None),
        ('{"jsonrpc": "2.0", "method": "m", "id": true}', None),
        ('{"jsonrpc": "2.0", "method": "m", "id": 1e999}', None),
        ("1", None),
        ('"x"', None),
        ("null", None),
        ("[]", None),
    ],
)
def test_what_is_no_call_is_an_invalid_request(text: str, id_: object) -> None:
    assert _refused(text) == [(-32600, id_)]


def test_parameters_have_names_here() -> None:
    text = '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}'
    assert _refused(text) == [(-32602, 1)]


def test_each_part_of_a_batch_is_judged_by_itself() -> None:
    assert _refused("[1, 2, 3]") == [(-32600, None)] * 3
    incoming = parse(
        """[
        {"jsonrpc": "2.0", "method": "sum", "params": {"a": 1}, "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": {"a": 7}},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
        ]"""
    )
    assert incoming.batch
    first, second, third, fourth = incoming.items
    assert (first, fourth) == (Call("sum", {"a": 1}, "1"), Call("get_data", {}, "9"))
    assert isinstance(second, Call)
    assert not second.wants_answer
    assert isinstance(third, Malformed)


def test_a_batch_has_its_limit() -> None:
    call = {"jsonrpc": "2.0", "method": "m", "id": 1}
    assert len(parse(json.dumps([call] * MAX_BATCH)).items) == MAX_BATCH
    assert _refused(json.dumps([call] * (MAX_BATCH + 1))) == [(-32600, None)]


def test_answers_are_what_the_specification_says() -> None:
    assert success(1, {"a": 1}) == {"jsonrpc": "2.0", "id": 1, "result": {"a": 1}}
    assert failure(None, -32700, "No.") == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32700, "message": "No."},
    }
    assert failure(1, 1, "No.", {"a": 1})["error"]["data"] == {"a": 1}
    assert notification("m", {}) == {"jsonrpc": "2.0", "method": "m", "params": {}}


def _check(text: str | bytes) -> None:
    incoming = parse(text)
    assert incoming.items
    for item in incoming.items:
        answer = item.answer if isinstance(item, Malformed) else success(item.id, "r")
        sent = dump(answer)
        assert json.loads(sent.encode("utf-8"), parse_constant=pytest.fail) == answer


@given(st.text() | st.binary())
def test_any_text_is_parsed_and_its_answer_can_be_sent(text: str | bytes) -> None:
    _check(text)


@given(json_values | callish | st.lists(callish, max_size=5))
def test_any_json_is_parsed_and_its_answer_can_be_sent(value: object) -> None:
    _check(json.dumps(value))


def test_half_of_a_surrogate_pair_comes_back_as_it_came() -> None:
    text = '{"jsonrpc": "2.0", "method": "m", "id": "\\ud800"}'
    (call,) = parse(text).items
    assert isinstance(call, Call)
    assert '"id":"\\ud800"' in dump(success(call.id, None))
