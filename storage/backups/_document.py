"""The small JSON files of backups and restores, whatever somebody may have made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from .._plain import read_plain

LATEST_US = 1 << 57
"""No time is so late: beyond the year 6000, where calendars still have names for days."""


def parse_document(raw: bytes | None) -> Any:
    """Return what *raw* holds: objects, lists, texts, whole numbers.

    Raises:
        ValueError: it is no JSON of ours: other numbers, or nested without an end.
    """
    try:
        return json.loads(raw or b"", parse_float=_refuse, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_document(path: Path, limit: int) -> Any:
    """Return what the plain file *path*, of at most *limit* bytes, holds.

    Raises:
        ValueError: there is no such file, or no such document in it.
    """
    return parse_document(read_plain(path, limit))


def _refuse(number: str) -> NoReturn:
    raise ValueError(f"{number} is no whole number")
