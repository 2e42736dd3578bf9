"""How much one operation, and one project, may take."""

from __future__ import annotations

from typing import Final

import attrs

MIB: Final = 1 << 20


@attrs.frozen
class Limits:
    """Sizes in bytes; what is beyond is refused as `limited`, never cut off silently."""

    read: int = 8 * MIB
    """By one call; a larger file is read in ranges."""
    write: int = 8 * MIB
    """What a file may grow to."""
    listed: int = 5_000
    """Entries of a folder in one listing."""
    folder: int = 10_000
    """Entries of a folder that something is created in, whose names are compared for that."""
    depth: int = 64
    """Levels below a folder that is deleted, searched or counted as a whole."""
    matches: int = 1_000
    """Of one search, which says so when it stops there."""
    searched: int = 64 * MIB
    """By one search, likewise."""
    search_s: float = 10.0
    """Seconds that one search looks, likewise."""
    project_bytes: int = 1024 * MIB
    project_files: int = 50_000
    """Folders count as files here."""
