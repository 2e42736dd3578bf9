"""Idempotency keys: a command that is sent again has no second effect, and the same answer.

The key, the command and the answer are kept in the transaction of the effect.  What counts is who
asks for what, under which key; not when, nor in which attempt.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from typing import Any, TypeVar

import cattrs

from ._errors import Conflict
from ._registry import fields_of, name_of
from ._transaction import Command, Transaction

R = TypeVar("R")

_RECALL = "SELECT command, request_hash, result FROM idempotency WHERE key = ?"
_REMEMBER = "INSERT INTO idempotency(key, command, request_hash, result, at) VALUES(?, ?, ?, ?, ?)"

_results = cattrs.Converter()


def apply_once(tx: Transaction, command: Command[Any], key: str) -> Any:
    """Run *command*, unless it was run under *key* before; return its answer.

    Raises:
        Conflict: the key was used for another command.
    """
    name, digest = name_of(command), _digest(command)
    known = tx.connection.execute(_RECALL, [key]).fetchone()
    if known is not None:
        if known[:2] != (name, digest):
            raise Conflict(
                f"idempotency_key {key!r} was used for another request: take a new key",
                field="idempotency_key",
            )
        return _results.structure(json.loads(known[2]), command.RESULT)
    result = command.apply(tx)
    answer = json.dumps(_results.unstructure(result))
    tx.connection.execute(_REMEMBER, [key, name, digest, answer, tx.at])
    return result


def recall(connection: sqlite3.Connection, kind: type[Command[R]], key: str) -> R | None:
    """Return what a command of this *kind* answered under *key*; None where there was none.

    For what has effects outside of the database: who sees that it was begun decides the rest.

    Raises:
        Conflict: the key was used for another kind of command.
    """
    known = connection.execute(_RECALL, [key]).fetchone()
    if known is None:
        return None
    if known[0] != kind.__name__:
        raise Conflict(
            f"idempotency_key {key!r} was used for another request: take a new key",
            field="idempotency_key",
        )
    answer: R = _results.structure(json.loads(known[2]), kind.RESULT)
    return answer


def _digest(command: Command[Any]) -> str:
    return hashlib.sha256(json.dumps(fields_of(command), sort_keys=True).encode()).hexdigest()
