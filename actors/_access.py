"""How far callers may go."""

from __future__ import annotations

from enum import IntEnum


class Access(IntEnum):
    """What a caller may do; each level includes those below."""

    READ = 1
    WRITE = 2
    ADMIN = 3

    @property
    def scope(self) -> str:
        """Its name on the wire."""
        return self.name.lower()

    @property
    def gateway_scope(self) -> str:
        """The Gateway's name for it."""
        return f"operator.{self.scope}"
