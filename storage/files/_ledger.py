"""Where changes of files are written down before they are made: a port, kept by who has a log."""

from __future__ import annotations

from typing import Protocol

from .._errors import MissionError
from ._changes import FileChange


class Ledger(Protocol):
    """Of one request.  What it has, was begun; so nothing is done that it does not have."""

    def recall(self) -> FileChange | None:
        """Return what was noted for the same request before, unless it is known to have failed.

        Raises:
            Conflict: that was another request.
        """

    async def note(self, change: FileChange) -> None:
        """Keep *change*, which is made when this returns.

        Raises:
            MissionError: it must not be made.
        """

    async def note_made(self, change: FileChange) -> None:
        """Keep that *change* was made.  Never raises."""

    async def note_failure(self, change: FileChange, failure: MissionError) -> None:
        """Keep that *change* was not made, or not all of it.  Never raises."""
