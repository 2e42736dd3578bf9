"""One backup as others see it, and what is known of its health."""

from __future__ import annotations

import json
from pathlib import Path

import attrs

from .._durable import replace_file
from ._document import LATEST_US, read_document
from ._manifest import Manifest

_CHECK = "checked.json"
"""Beside the manifest, which is never written again."""

DATABASE = "mission-control.db"
FILES = "files"


@attrs.frozen
class Check:
    """The outcome of the last look at every byte."""

    at: int
    sound: bool


@attrs.frozen
class Backup:
    """A whole backup; its files are below *folder*."""

    folder: Path
    manifest: Manifest
    check: Check | None
    """None where nobody has looked, or nobody could write down that it did."""

    @property
    def id(self) -> str:
        """Begins with the time, in UTC."""
        return self.manifest.id

    @property
    def created_at(self) -> int:
        """The moment that it shows, or a little earlier."""
        return self.manifest.created_at

    @property
    def reason(self) -> str:
        """`manual`, `scheduled`, `before-restore`, ..."""
        return self.manifest.reason

    @property
    def seq(self) -> int:
        """Of the newest change in it."""
        return self.manifest.seq

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return self.manifest.size

    @property
    def damaged(self) -> bool:
        """Whether the last check found it so."""
        return self.check is not None and not self.check.sound

    @property
    def database(self) -> Path:
        """The copy of the database."""
        return self.folder / DATABASE


def read_check(folder: Path) -> Check | None:
    """Return what the last check of the backup in *folder* found; None where that is not known."""
    try:
        noted = read_document(folder / _CHECK, 1_000)
        check = Check(int(noted["at"]), bool(noted["sound"]))
    except (ValueError, TypeError, KeyError):
        return None
    return check if 0 <= check.at < LATEST_US else None


def write_check(folder: Path, check: Check) -> None:
    """Note the outcome of a check."""
    replace_file(folder / _CHECK, json.dumps(attrs.asdict(check)) + "\n")
