"""A mirror's first line: who wrote it, which change it shows, and the checksum of the rest.

`tail -n +2 KANBAN.md | sha256sum` gives the same checksum.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import PurePath

import attrs

NOTICE = "Written by Mission Control; changes made here are put aside."
"""Not to be reworded: every mirror on disk would look like somebody else's."""

_LINE = re.compile(
    rb"[^\n]{0,120}\bcursor\W{1,4}(?P<epoch>\w+)\.(?P<seq>\d{1,18})\W[^\n]{0,8}"
    rb"\bsha256\W{1,4}(?P<sha256>[0-9a-f]{64})[^\n]{0,8}(?:\n|\Z)"
)


@attrs.frozen
class Seal:
    """What a first line says."""

    epoch: str
    seq: int
    """The change after which the project was as the rest shows it."""
    sha256: str

    def holds(self, body: str, *, epoch: str, seq: int) -> bool:
        """Whether this is the seal of *body*, and of nothing that is yet to come."""
        return (self.epoch, self.sha256) == (epoch, _digest(body.encode())) and self.seq <= seq

    def over(self, name: str, body: str) -> str:
        """Return *body* below this seal: a comment, or in a `.jsonl` an object as those below."""
        return f"{self._object if PurePath(name).suffix == '.jsonl' else self._comment}\n{body}"

    @property
    def _comment(self) -> str:
        return f"<!-- {NOTICE} cursor={self.epoch}.{self.seq} sha256={self.sha256} -->"

    @property
    def _object(self) -> str:
        cursor = f"{self.epoch}.{self.seq}"
        return json.dumps({"mirror": NOTICE, "cursor": cursor, "sha256": self.sha256})

    def reads(self, line: bytes) -> bool:
        """Whether *line* is this seal to the letter: words may have been added to it."""
        return line.decode("utf-8", "replace").rstrip("\n") in (self._comment, self._object)


def seal(body: str, *, epoch: str, seq: int) -> Seal:
    """Seal what shows change number *seq* of this epoch."""
    return Seal(epoch, seq, _digest(body.encode()))


def seal_of(raw: bytes) -> Seal | None:
    """Return the seal of a file, None where it has none or anything is not as it was sealed."""
    found = _LINE.match(raw)
    if found is None or _digest(raw[found.end() :]) != found["sha256"].decode():
        return None
    made = Seal(found["epoch"].decode(), int(found["seq"]), found["sha256"].decode())
    return made if made.reads(found.group()) else None


def unsealed(text: str) -> str:
    """Return *text* without the line that seals it, if it begins with one."""
    raw = text.encode()
    found = _LINE.match(raw)
    return raw[found.end() :].decode() if found else text


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
