"""The manifest of a backup: what belongs to it.  Written last, so what has one is whole."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import cattrs

from .._durable import replace_file
from .._plain import read_plain
from ._document import LATEST_US, parse_document
from ._errors import BackupDamaged, BackupFailed, BackupTooNew
from ._snapshot import DatabaseFacts

NAME = "manifest.json"
FORMAT = 1
MAX_BYTES = 256 << 20
"""Of a manifest: what some sixty projects may list at most."""

_OURS = re.compile(
    r"mission-control\.(toml|template)"
    r"|souls/.+"
    r"|projects/[^/]+/(KANBAN\.md|CHRONICLE\.md|\.context|\.template|(daily|agents|archive)/.+)",
    re.DOTALL,
)
"""Paths inside a home that a backup may hold.  Not `src/`: that is the project's own, and has
other ways to be kept."""


def belongs(path: str) -> bool:
    """Whether a backup may hold the file *path* of a home, and a restore may write there."""
    parts = path.split("/")
    return (
        _OURS.fullmatch(path) is not None
        and not {"", ".", ".."} & set(parts)
        and "\0" not in path
        and str(PurePosixPath(path)) == path
    )


@attrs.frozen
class KeptFile:
    """One file of a backup."""

    path: str
    """Relative to the home, with `/`."""
    size: int
    sha256: str
    mode: int = 0o600


@attrs.frozen
class Manifest:
    """What a backup holds, and of which moment it is."""

    id: str
    reason: str
    created_at: int
    program: str
    """Version of the program that made it."""
    schema: int
    """Number of the database's last migration."""
    epoch: str
    epoch_began_at: int
    seq: int
    """Of the newest change in it."""
    database: KeptFile
    files: tuple[KeptFile, ...]
    skipped: tuple[str, ...]
    """What lay there and was not taken, each with its reason."""
    format: int = FORMAT
    checksum: str = ""
    """Of all the rest."""

    @property
    def facts(self) -> DatabaseFacts:
        """What the database in it says of itself."""
        return DatabaseFacts(self.schema, self.epoch, self.epoch_began_at, self.seq)

    @property
    def size(self) -> int:
        """Bytes of all that it lists."""
        return self.database.size + sum(file.size for file in self.files)


_converter = cattrs.Converter(forbid_extra_keys=True)


def _render(manifest: Manifest) -> str:
    return json.dumps(_converter.unstructure(manifest), indent=1) + "\n"


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Make *folder* a backup, in one step and durably; return what was written.

    Raises:
        BackupFailed: it would be longer than can be read.
    """
    blank = attrs.evolve(manifest, checksum="")
    digest = hashlib.sha256(_render(blank).encode()).hexdigest()
    sealed = attrs.evolve(manifest, checksum=digest)
    text = _render(sealed)
    if len(text) > MAX_BYTES:
        raise BackupFailed(
            f"the backup would list {len(manifest.files)} files, too many to be read again: see"
            " which project has so many, and make them fewer"
        )
    replace_file(folder / NAME, text)
    return sealed


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of the backup in *folder*.

    Raises:
        BackupDamaged: it is not, byte by byte, what was written.
        BackupTooNew: another program will understand it.
    """
    where = folder / NAME
    raw = read_plain(where, MAX_BYTES)
    try:
        fields: dict[str, Any] = parse_document(raw)
        newer = int(fields["format"]) > FORMAT
    except (ValueError, TypeError, KeyError) as error:
        raise BackupDamaged(f"{where} is damaged: it is not as it was written") from error
    if newer:
        raise BackupTooNew(f"{where} was made by a newer program: upgrade, then try again")
    try:
        manifest = _converter.structure(fields, Manifest)
    except (cattrs.BaseValidationError, ValueError, TypeError) as error:
        raise BackupDamaged(f"{where} is damaged: it is not as it was written") from error
    _check(manifest, raw or b"", folder)
    return manifest


def _check(manifest: Manifest, raw: bytes, folder: Path) -> None:
    blank = attrs.evolve(manifest, checksum="")
    digest = hashlib.sha256(_render(blank).encode()).hexdigest()
    if digest != manifest.checksum or _render(manifest).encode() != raw:
        raise BackupDamaged(f"{folder / NAME} is damaged: it is not as it was written")
    if manifest.id != folder.name:
        raise BackupDamaged(f"{folder} holds the backup {manifest.id}: name it so")
    if not 0 <= manifest.created_at < LATEST_US:
        raise BackupDamaged(f"{folder / NAME} tells of a time that no clock shows")
    for file in manifest.files:
        if not belongs(file.path) or not 0 <= file.mode <= 0o777:
            raise BackupDamaged(f"{folder / NAME} names {file.path!r}, which no backup holds")
