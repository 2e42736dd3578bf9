"""Links: two incarnations of which neither outlives a bad end of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ._exits import Down, Exit

if TYPE_CHECKING:
    from ._belongings import Belongings


@final
class Link:
    """There is at most one between two incarnations; it ends with either."""

    __slots__ = ("_ends",)

    def __init__(self, one: Belongings, other: Belongings) -> None:
        self._ends = (one, other)

    def cancel(self) -> None:
        """Let the two be strangers again."""
        one, other = self._ends
        one.links.pop(other, None)
        other.links.pop(one, None)


def link(one: Belongings, other: Belongings) -> Link:
    """Link the two; return the link they have, if there is one."""
    known = one.links.get(other)
    if known is None:
        known = one.links[other] = other.links[one] = Link(one, other)
    return known


def break_links(ended: Belongings, down: Down, reason: Exit) -> None:
    """Tell all who are linked to *ended*."""
    links = dict(ended.links)
    ended.links.clear()
    for other in links:
        other.links.pop(ended, None)
        other.on_peer_ended(down, reason)
