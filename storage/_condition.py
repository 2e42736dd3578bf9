"""How the storage fares, for those who look on."""

from __future__ import annotations

import attrs


@attrs.define
class StorageCondition:
    """Kept by the storage actor over its incarnations, the numbers by its writer's thread.

    All others only read it, from any thread.
    """

    failure: str | None = None
    """Why nothing can be written now; None while all is well."""
    foreign_writes: int = 0
    """How often somebody else was found to have written to the file."""
    wal_bytes: int = 0
    """The size of the write-ahead log."""
