"""A look at every byte of a backup."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ._backup import DATABASE, FILES
from ._errors import BackupDamaged
from ._manifest import KeptFile, Manifest
from ._snapshot import inspect_database


def verify(folder: Path, manifest: Manifest) -> None:
    """Compare what stands in *folder* with *manifest*.

    Checksums find what SQLite's own check does not: a flipped byte inside a text.

    Raises:
        BackupDamaged: something is missing or not as it was written; the message names it.
    """
    _compare(folder / DATABASE, manifest.database)
    for file in manifest.files:
        _compare(folder / FILES / file.path, file)
    if inspect_database(folder / DATABASE) != manifest.facts:
        raise BackupDamaged(f"{folder}: the manifest is of another database")


def _compare(path: Path, kept: KeptFile) -> None:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise BackupDamaged(f"{path} cannot be read: {error.strerror}") from error
    if found != kept.sha256:
        raise BackupDamaged(f"{path} is damaged: it is not as it was written")


def sha256_of(path: Path) -> str:
    """Return the checksum of the plain file *path*; a link is refused."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
