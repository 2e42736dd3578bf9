"""What file operations answer."""

from __future__ import annotations

import hashlib

import attrs

from ._kinds import Kind
from ._reasons import Reason, refusal


def sha256(data: bytes) -> str:
    """Return the hexadecimal digest that `expected` is compared with."""
    return hashlib.sha256(data).hexdigest()


@attrs.frozen
class Content:
    """What was read."""

    data: bytes
    offset: int
    """In the file, in bytes."""
    size: int
    """Of the whole file, in bytes."""

    @property
    def sha256(self) -> str | None:
        """Of the file; None if only a part of it was read."""
        return sha256(self.data) if len(self.data) == self.size else None

    @property
    def text(self) -> str:
        """The data as UTF-8.

        Raises:
            Invalid: it is no text.
        """
        try:
            return self.data.decode()
        except UnicodeDecodeError as failure:
            at = self.offset + failure.start
            raise refusal(
                Reason.NOT_TEXT, f"The file is no UTF-8 text at byte {at}: read it as binary."
            ) from None


@attrs.frozen
class Stat:
    """What is known of a file or a folder without opening it."""

    kind: Kind
    size: int
    mtime_ns: int


@attrs.frozen
class Entry:
    """One name in a folder."""

    name: str
    """Bytes that are no UTF-8 are shown as `\\xff`."""
    kind: Kind
    size: int | None
    """In bytes, of a file."""
    mtime_ns: int
    addressable: bool
    """Whether operations other than `delete` would accept it."""


@attrs.frozen
class Written:
    """What a file is after a write."""

    sha256: str
    size: int
    created: bool


@attrs.frozen
class Match:
    """A line that holds what was searched for."""

    path: str
    line: int
    """Counted from 1."""
    column: int
    """In characters, counted from 1."""
    text: str
    """The line, cut to 500 characters."""


@attrs.frozen
class Found:
    """The answer to a search."""

    matches: tuple[Match, ...]
    complete: bool
    """False if a limit ended the search early."""
