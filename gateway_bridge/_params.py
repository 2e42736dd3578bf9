"""Parameters from the wire: structured strictly, and refused by naming the field."""

from __future__ import annotations

import types
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn

from ..storage import Invalid, TaskStatus

P = TypeVar("P")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Time = NewType("Time", int)
"""A stored time, in µs; on the wire an ISO 8601 string, UTC where it has no offset."""

_converter = cattrs.Converter(detailed_validation=True, forbid_extra_keys=True)


class _Wrong(ValueError):
    """A value that is not of its type."""


def _strict(kind: type, *also: type) -> None:
    def structure(value: Any, _: Any) -> Any:
        good = isinstance(value, (kind, *also)) and (kind is bool or not isinstance(value, bool))
        if not good:
            raise _Wrong(f"must be {_WORDS[kind]}, not {value!r}"[:200])
        if isinstance(value, str) and not _is_text(value):
            raise _Wrong("holds half of a surrogate pair, which is no character")
        return kind(value)

    _converter.register_structure_hook(kind, structure)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_tuple(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin is tuple


def _list(value: Any, kind: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _Wrong(f"must be a list, not {value!r}"[:200])
    return tuple(_converter.structure(item, get_args(kind)[0]) for item in value)


_WORDS = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}
_strict(str)
_strict(int)
_strict(float, int)
_strict(bool)


def _status(value: Any, _: Any) -> TaskStatus:
    names = {status.name.lower(): status for status in TaskStatus}
    if isinstance(value, str) and value.lower() in names:
        return names[value.lower()]
    if isinstance(value, int) and not isinstance(value, bool) and value in set(TaskStatus):
        return TaskStatus(value)
    known = ", ".join(f"{status.value} {name}" for name, status in names.items())
    raise _Wrong(f"must be one of {known}; not {value!r}"[:200])


def _time(value: Any, _: Any) -> int:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _Wrong(f"must be a time such as 2026-11-22T18:00:00Z, not {value!r}"[:200]) from None
    if not 1970 <= moment.year < 9999:
        raise _Wrong(f"must be a time between 1970 and 9999, not {value!r}"[:200])
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1)


def _enum(value: Any, kind: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(str(member.value) for member in kind)
        raise _Wrong(f"must be one of {known}; not {value!r}"[:200]) from None


_converter.register_structure_hook_func(
    lambda kind: isinstance(kind, type) and issubclass(kind, Enum), _enum
)
_converter.register_structure_hook_func(_is_tuple, _list)
_converter.register_structure_hook(TaskStatus, _status)
_converter.register_structure_hook_func(lambda kind: kind is Time, _time)
_converter.register_structure_hook_factory(
    attrs.has,
    lambda cls: make_dict_structure_fn(
        cls, _converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True
    ),
)


def structure(params: dict[str, Any], cls: type[P]) -> P:
    """Make the record *cls* of *params*.

    Raises:
        Invalid: a parameter is missing, unknown or wrong; `details["field"]` names it.
    """
    try:
        return _converter.structure(params, cls)
    except cattrs.BaseValidationError as group:
        raise _first(group, cls) from None


def _first(group: cattrs.BaseValidationError, cls: type[Any]) -> Invalid:
    for error in group.exceptions:
        if isinstance(error, cattrs.ForbiddenExtraKeysError):
            field = min(error.extra_fields)
            known = ", ".join(f.name for f in attrs.fields(cls)) or "none"
            return Invalid(f"unknown parameter {field!r}; known are: {known}", field=field)
    error = group.exceptions[0]
    notes = getattr(error, "__notes__", [])
    field = str(getattr(notes[0], "name", "?")) if notes else "?"
    if isinstance(error, KeyError):
        field = str(error.args[0])
        return Invalid(f"parameter {field!r} is missing", field=field)
    return Invalid(f"{field} {_innermost(error)}", field=field)


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) if isinstance(error, _Wrong) else "is not of the right form"


def json_schema(cls: type[Any]) -> dict[str, Any]:
    """Return the JSON schema of the parameters *cls*, for tools that a model calls."""
    hints = get_type_hints(cls)
    fields = attrs.fields(cls)
    properties = {}
    for field in fields:
        schema = _schema(hints[field.name])
        if "doc" in field.metadata:
            schema["description"] = field.metadata["doc"]
        properties[field.name] = schema
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": [field.name for field in fields if field.default is attrs.NOTHING],
    }


_SCALARS: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    Time: {"type": "string", "format": "date-time"},
    TaskStatus: {"type": "string", "enum": [status.name.lower() for status in TaskStatus]},
}


def _schema(hint: Any) -> dict[str, Any]:
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (option for option in get_args(hint) if option is not type(None))
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _schema(get_args(hint)[0])}
    if hint in _SCALARS:
        return dict(_SCALARS[hint])
    if attrs.has(hint):
        return json_schema(hint)
    return {"type": "string", "enum": [member.value for member in hint]}
