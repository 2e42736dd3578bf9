"""What an attempt is known to have done outside: whoever repeats it must know.

Signs of life are taken for deeds unless they are known to be only words: a tool call, the output
of a command, a call of our API (whoever makes one can make others).  An attempt of an earlier life
of ours is taken to have acted too: nobody saw whether it did.
"""

from __future__ import annotations

from collections import Counter

import attrs

WORDS = frozenset({"token", "turn"})
"""Signs of life that tell of nothing but a model that speaks."""

COMMAND = "command"
"""The deed of an attempt that is a process: it may act without a word."""


@attrs.define
class Evidence:
    """Of one attempt."""

    unseen: bool = False
    """It may have acted while nobody looked."""
    _deeds: Counter[str] = attrs.field(factory=Counter)

    def note(self, what: str) -> None:
        """It gave this sign of life."""
        if what not in WORDS:
            self._deeds[what] += 1

    def effects(self) -> str:
        """Return what it may have done, as a clause; nothing where that is nothing."""
        if self.unseen:
            return "nobody saw what it did before the sidecar ended"
        deeds = ", ".join(f"{what} ({times})" for what, times in sorted(self._deeds.items()))
        return f"it had acted: {deeds}" if deeds else ""
