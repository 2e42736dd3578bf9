"""Sessions as the Gateway tells of them: their state, and their transcripts page by page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import attrs

from ..actors import Entry, Page, SessionStatus
from ..storage import Invalid
from ._transcript import part, records

MS = 1_000
_PLACE = re.compile(r"([0-9]{1,12})\.([0-9]{1,12})")
_ROLES = {"toolResult": "tool"}
_USER_ROW = ":user"


def id_of(session: Mapping[str, Any]) -> str:
    """Return the id of a session and its life, from the answer of `sessions.create`.

    A reset keeps the Gateway's id of the session, and gives it another revision.
    """
    revision = part(session, "entry").get("lifecycleRevision")
    id_ = str(session.get("sessionId", ""))
    return f"{id_}/{revision}" if revision else id_


def status_of(history: Mapping[str, Any]) -> SessionStatus | None:
    """Read the answer of `chat.history`; None where the Gateway knows no such session."""
    if not history.get("sessionId"):
        return None
    row = part(history, "sessionInfo")
    cwd = row.get("spawnedCwd")
    return SessionStatus(
        session_id=str(history["sessionId"]),
        cwd=str(cwd) if cwd else None,
        updated_at=_time(row.get("updatedAt")),
        busy=row.get("hasActiveRun") is True,
    )


@attrs.frozen
class Place:
    """Where a page of a transcript ends.

    The Gateway counts from the newest entry, which goes on moving; entries have numbers, so those
    that were given already are known when they come again.
    """

    offset: int
    before: int

    @classmethod
    def parse(cls, cursor: str) -> Place:
        """Read what was written as *cursor*.

        Raises:
            Invalid: nobody wrote this.
        """
        found = _PLACE.fullmatch(cursor)
        if found is None:
            raise Invalid("cursor must be the `earlier` of another page", field="cursor")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.offset}.{self.before}"


def page_of(history: Mapping[str, Any], after: Place | None) -> Page:
    """Read the answer of `chat.history` for the page that follows *after*, towards the past."""
    rows = [
        (number, row)
        for row in records(history, "messages")
        if (number := _number(row)) and (after is None or number < after.before)
    ]
    offset = history.get("nextOffset")
    earlier = None
    if history.get("hasMore") is True and isinstance(offset, int):
        first = rows[0][0] if rows else (after.before if after is not None else offset)
        earlier = str(Place(offset, first))
    return Page(tuple(_entry(row) for _, row in rows), earlier)


def _number(row: Mapping[str, Any]) -> int:
    number = part(row, "__openclaw").get("seq")
    return number if isinstance(number, int) else 0


def _entry(row: Mapping[str, Any]) -> Entry:
    role = str(row.get("role"))
    calls = [p for p in _parts(row) if p.get("type") == "toolCall"]
    tool = row.get("toolName") or (calls[0].get("name") if calls else None)
    return Entry(
        role=_ROLES.get(role, role),
        text="\n".join(filter(None, map(_text, _parts(row)))),
        at=_time(row.get("timestamp")),
        run_id=_run_id(row),
        tool=str(tool) if tool else None,
    )


def _parts(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    said = row.get("content")
    return [{"type": "text", "text": said}] if isinstance(said, str) else records(row, "content")


def _text(piece: Mapping[str, Any]) -> str:
    match piece.get("type"):
        case "text":
            return str(piece.get("text") or "")
        case "toolCall":
            arguments = json.dumps(piece.get("arguments"), ensure_ascii=False)
            return f"{piece.get('name')}({arguments})"
        case _:
            return ""


def _run_id(row: Mapping[str, Any]) -> str | None:
    ours = part(row, "__openclaw").get("runId")
    key = str(row.get("idempotencyKey") or "")
    found = ours or (key.removesuffix(_USER_ROW) if key.endswith(_USER_ROW) else None)
    return str(found) if found else None


def _time(at_ms: object) -> int | None:
    return int(at_ms * MS) if isinstance(at_ms, int | float) and 0 <= at_ms < 1e14 else None
