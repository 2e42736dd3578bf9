"""What the service does for its own sake."""

from __future__ import annotations

from typing import ClassVar

import attrs

from .._registry import register
from .._transaction import Command, Transaction

PURGED_AT_ONCE = 1_000
"""Rows that one command removes: others must not wait long behind it."""

_PURGE = (
    "DELETE FROM idempotency WHERE key IN"
    " (SELECT key FROM idempotency WHERE at < ? ORDER BY at LIMIT ?)"
)


@register
@attrs.frozen
class PurgeIdempotency(Command[int]):
    """Forget the oldest idempotency keys that were used before a time.

    Answered with how many; while that is `PURGED_AT_ONCE`, there may be more.  Nothing of it is
    logged: it is no change that anybody could see.
    """

    before: int

    RESULT: ClassVar[type] = int

    def apply(self, tx: Transaction) -> int:
        """Removes at most `PURGED_AT_ONCE`."""
        return tx.connection.execute(_PURGE, [self.before, PURGED_AT_ONCE]).rowcount
