"""Folders that are put away whole: packed into a file, then removed; after a kill, once more."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

from ._durable import sync_folder


def pack_folder(folder: Path, archive: Path) -> None:
    """Write *folder* to the file *archive* (tar, gzip), whole or not at all, for its owner only.

    Links are kept as links.  One that is there already is left as it is: only who has one removes
    the folder.

    Raises:
        OSError: something in it cannot be read, or there is no room.
    """
    if archive.exists():
        return
    archive.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    staged = archive.with_name(f".{archive.name}.tmp")  # a second attempt writes over the first
    descriptor = os.open(staged, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz") as packed:
            packed.add(folder.resolve(), arcname=folder.name)
        file.flush()
        os.fsync(descriptor)
        staged.replace(archive)
    sync_folder(archive.parent)


def remove_folder(folder: Path) -> None:
    """Remove *folder* with all that is in it; of a link to a folder, the link.

    Raises:
        OSError: something in it is not ours to remove.
    """
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        _make_removable(folder)
        shutil.rmtree(folder)
    sync_folder(folder.parent)


def _make_removable(folder: Path) -> None:
    """Some tools, such as Go's, keep what they fetch in folders that nobody may write."""
    for path, _, _ in os.walk(folder):
        place = Path(path)
        mode = place.stat().st_mode
        if mode & 0o700 != 0o700:
            place.chmod(mode | 0o700)
