"""Where messages go that nobody will handle."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from ._ref import Ref

LOG = logging.getLogger("mission_control.supervisor")

KEPT = 256

Why: TypeAlias = Literal["dead", "full", "late", "dropped_on_restart"]


@attrs.frozen
class DeadLetter:
    """A message that was lost, or (`late`) an answer that came after its asker's timeout."""

    ref: Ref[Any]
    message: object
    reason: Why


class DeadLetters:
    """The newest dead letters, and how many there were of each kind."""

    def __init__(self) -> None:
        self._recent: deque[DeadLetter] = deque(maxlen=KEPT)
        self.counts: Counter[Why] = Counter()

    def __iter__(self) -> Iterator[DeadLetter]:
        return iter(tuple(self._recent))

    def __len__(self) -> int:
        """How many there were in all, also those no longer kept."""
        return self.counts.total()

    def add(self, ref: Ref[Any], message: object, reason: Why) -> None:
        """Keep and count one.  Logged only at powers of two, so that a flood is not one too."""
        self._recent.append(DeadLetter(ref, message, reason))
        self.counts[reason] += 1
        self._log(ref, message, reason, before=self.counts[reason] - 1)

    def add_all(self, ref: Ref[Any], messages: deque[Any], reason: Why) -> None:
        """Keep and count many, at the price of the few that are kept."""
        before = self.counts[reason]
        self.counts[reason] += len(messages)
        newest = range(-min(KEPT, len(messages)), 0)
        self._recent.extend(DeadLetter(ref, messages[index], reason) for index in newest)
        self._log(ref, messages[-1], reason, before)

    def _log(self, ref: Ref[Any], message: object, reason: Why, before: int) -> None:
        count = self.counts[reason]
        if count.bit_length() > before.bit_length():  # a power of two was reached
            kind = type(message).__name__
            LOG.debug("dead letter no. %d (%s): %s to %s", count, reason, kind, ref.path)
