"""Parameters: structured strictly, refused by name, described as a schema."""

from __future__ import annotations

from contextlib import suppress
from enum import Enum
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.gateway_bridge._params import Time, json_schema, structure
from mission_control.gateway_bridge._table import METHODS
from mission_control.gateway_bridge._wire import iso
from mission_control.storage import US, Invalid, TaskStatus


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@attrs.frozen
class Params:
    """One field of each kind."""

    name: str = attrs.field(metadata={"doc": "What it is called."})
    count: int = 0
    share: float = 0.0
    sure: bool = False
    status: TaskStatus | None = None
    colour: Colour = Colour.RED
    labels: tuple[str, ...] = ()
    at: Time | None = None


def _refusal(**params: Any) -> tuple[str, str]:
    with pytest.raises(Invalid) as refusal:
        structure(params, Params)
    return str(refusal.value.details["field"]), refusal.value.message


def test_what_is_right_becomes_a_record() -> None:
    given_ = {
        "name": "x",
        "count": 2,
        "share": 1,
        "sure": True,
        "status": 1,
        "colour": "blue",
        "labels": ["a", "b"],
        "at": "2026-11-22T18:00:00+01:00",
    }
    made = structure(given_, Params)
    assert made == Params(
        "x",
        2,
        1.0,
        True,
        TaskStatus.IN_PROGRESS,
        Colour.BLUE,
        ("a", "b"),
        Time(1_795_366_800 * US),
    )
    assert structure({"name": "x", "status": None}, Params) == Params("x")


def test_a_missing_parameter_is_named() -> None:
    assert _refusal() == ("name", "parameter 'name' is missing")


def test_an_unknown_parameter_is_named_with_those_that_are_known() -> None:
    field, message = _refusal(name="x", nmae="y")
    assert field == "nmae"
    assert message.startswith("unknown parameter 'nmae'; known are: name, count, share")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", 5, "a string, not 5"),
        ("name", None, "a string, not None"),
        ("name", "\ud800", "half of a surrogate pair"),
        ("count", "5", "a whole number, not '5'"),
        ("count", 5.0, "a whole number, not 5.0"),
        ("count", True, "a whole number, not True"),
        ("share", "1", "a number, not '1'"),
        ("share", False, "a number, not False"),
        ("share", 10**400, "not of the right form"),
        ("sure", 1, "true or false, not 1"),
        ("status", 9, "one of 0 backlog, 1 in_progress, 2 done, 3 blocked, 4 archived; not 9"),
        ("status", True, "one of 0 backlog"),
        ("status", "doing", "not 'doing'"),
        ("status", [], "one of 0 backlog"),
        ("colour", "green", "one of red, blue; not 'green'"),
        ("colour", [], "one of red, blue; not []"),
        ("labels", "abc", "a list, not 'abc'"),
        ("labels", {"a": 1}, "a list, not {'a': 1}"),
        ("labels", ["a", 1], "a string, not 1"),
        ("labels", None, "a list, not None"),
        ("at", "tomorrow", "a time such as"),
        ("at", 5, "a time such as"),
        ("at", "0001-01-01T00:00:00+10:00", "between 1970 and 9999"),
        ("at", "9999-12-31T23:59:59.999999Z", "between 1970 and 9999"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_what_it_must_be(
    field: str, value: object, said: str
) -> None:
    name, message = _refusal(**{"name": "x", field: value})
    assert name == field
    assert message.startswith(f"{field} ")
    assert said in message


@pytest.mark.parametrize("status", list(TaskStatus))
def test_a_status_is_given_by_number_or_name(status: TaskStatus) -> None:
    for value in (status.value, status.name.lower(), status.name):
        assert structure({"name": "x", "status": value}, Params).status is status


@given(st.datetimes(timezones=st.timezones()))
def test_every_time_that_is_accepted_can_be_told_again(moment: Any) -> None:
    try:
        at = structure({"name": "x", "at": moment.isoformat()}, Params).at
    except Invalid:
        assert not 1970 <= moment.year < 9999
        return
    assert at is not None
    assert structure({"name": "x", "at": iso(at)}, Params).at == at // 1_000 * 1_000


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from([field.name for field in attrs.fields(Params)]) | st.text(), anything
    )
)
def test_nothing_from_the_wire_is_worse_than_invalid(params: dict[str, Any]) -> None:
    with suppress(Invalid):
        structure(params, Params)


def test_the_schema_says_the_same() -> None:
    assert json_schema(Params) == {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "description": "What it is called."},
            "count": {"type": "integer"},
            "share": {"type": "number"},
            "sure": {"type": "boolean"},
            "status": {
                "type": "string",
                "enum": ["backlog", "in_progress", "done", "blocked", "archived"],
            },
            "colour": {"type": "string", "enum": ["red", "blue"]},
            "labels": {"type": "array", "items": {"type": "string"}},
            "at": {"type": "string", "format": "date-time"},
        },
        "required": ["name"],
    }


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_has_parameters_that_can_be_described(name: str) -> None:
    row = METHODS[name]
    schema = json_schema(row.params)
    assert set(schema["required"]) <= set(schema["properties"])
    assert row.summary.endswith(".")
