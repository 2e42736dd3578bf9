"""JSON-RPC 2.0 without any IO: text in, calls out; results in, text out.

https://www.jsonrpc.org/specification.  A notification gets no answer, a batch gets one array of
answers, and an array of notifications gets nothing.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn, TypeAlias

import attrs

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602

MAX_BATCH = 100

Id: TypeAlias = str | int | float | None


@attrs.frozen
class Call:
    """A request, or a notification where *wants_answer* is False."""

    method: str
    params: dict[str, Any]
    id: Id = None
    wants_answer: bool = True


@attrs.frozen
class Malformed:
    """Something that is no call; *answer* is what its sender is told."""

    answer: dict[str, Any]


@attrs.frozen
class Incoming:
    """What one text holds."""

    items: tuple[Call | Malformed, ...]
    batch: bool = False


def parse(text: str | bytes) -> Incoming:
    """Return what *text* holds.  Never raises: what is wrong is an item of the result."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return Incoming((Malformed(failure(None, PARSE_ERROR, "this is not JSON")),))
    if not isinstance(value, list):
        return Incoming((_call(value),))
    if not 1 <= len(value) <= MAX_BATCH:
        message = f"a batch holds 1 to {MAX_BATCH} calls, not {len(value)}"
        return Incoming((Malformed(failure(None, INVALID_REQUEST, message)),))
    return Incoming(tuple(_call(item) for item in value), batch=True)


def _refuse(constant: str) -> NoReturn:
    """NaN and Infinity, which Python reads, are no JSON."""
    raise ValueError(constant)


def _call(value: object) -> Call | Malformed:
    if not isinstance(value, dict):
        return _malformed(None, "a call is an object")
    id_ = value.get("id")
    if not _is_id(id_):
        return _malformed(None, "id must be a string, a finite number or null")
    if value.get("jsonrpc") != "2.0":
        return _malformed(id_, 'jsonrpc must be "2.0"')
    if not isinstance(value.get("method"), str):
        return _malformed(id_, "method must be a string")
    params = value.get("params", {})
    if not isinstance(params, dict):
        message = "params must be an object: parameters have names here"
        return Malformed(failure(id_, INVALID_PARAMS, message))
    return Call(value["method"], params, id_, wants_answer="id" in value)


def _is_id(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | int | None) and not isinstance(value, bool)


def _malformed(id_: Id, message: str) -> Malformed:
    return Malformed(failure(id_, INVALID_REQUEST, message))


def success(id_: Id, result: object) -> dict[str, Any]:
    """Return the answer to a call that went well."""
    return {"jsonrpc": "2.0", "id": id_, "result": result}


def failure(id_: Id, code: int, message: str, data: object = None) -> dict[str, Any]:
    """Return the answer to a call that did not."""
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": id_, "error": error}


def notification(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return a message that wants no answer."""
    return {"jsonrpc": "2.0", "method": method, "params": params}


def dump(value: object) -> str:
    """Return a message as the text that is sent.

    It is ASCII: half of a surrogate pair, which a client may have sent, has no UTF-8.
    """
    return json.dumps(value, separators=(",", ":"))
