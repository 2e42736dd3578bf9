"""Files that are whole or absent: written beside their place, then moved into it."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def replace_file(
    path: Path, text: str | bytes, *, mode: int = 0o600, lasting: bool = True
) -> os.stat_result:
    """Make *path* hold *text*: a reader, or a power cut, finds the old text or the new one.

    Args:
        path: in a folder that is there.
        text: bytes, or what is written in UTF-8.
        mode: of the new file.
        lasting: False where nobody has a use for it after a power cut, which may then leave
            anything: two waits for the disk are spared.

    Returns:
        What the kernel says of the new file: until somebody touches it, that stays the same.
    """
    staged = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"
    descriptor = os.open(staged, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
            file.flush()
            if lasting:
                os.fsync(descriptor)
            staged.replace(path)
            written = os.fstat(descriptor)  # after the rename, which is a change of its own
    finally:
        staged.unlink(missing_ok=True)
    if lasting:
        sync_folder(path.parent)
    return written


def sync_folder(folder: Path) -> None:
    """Make renames in *folder* survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep_staged(folder: Path) -> None:
    """Remove what a killed :func:`replace_file` left in *folder*."""
    for staged in folder.glob(f".*.{'[0-9a-f]' * 8}.tmp"):
        with suppress(OSError):  # it harms nobody
            staged.unlink()
