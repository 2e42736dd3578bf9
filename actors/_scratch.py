"""The folder for temporary files that a confined attempt has to itself."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path


def make_scratch(pulse_id: str) -> Path:
    """Make it, for this user only, where temporary files go.

    Raises:
        OSError: it cannot be made.
    """
    return Path(tempfile.mkdtemp(prefix=_prefix(pulse_id)))


def remove_scratch(pulse_id: str) -> None:
    """Remove it, and what an earlier life of ours left of it; what cannot be removed stays."""
    prefix = _prefix(pulse_id)
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            ours = entry.name.startswith(prefix)
            if ours and entry.stat(follow_symlinks=False).st_uid == os.getuid():
                _remove(entry.path)


def _remove(folder: str) -> None:
    with suppress(OSError):
        shutil.rmtree(folder)
        return
    # Go's cache of modules, for one, is of folders in which nothing can be removed.
    for *_, descriptor in os.fwalk(folder):
        with suppress(OSError):
            os.fchmod(descriptor, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _prefix(pulse_id: str) -> str:
    return f"mission-control-{pulse_id}-"
