"""Replay: what the tables held after a change, out of the log alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

import attrs

from .._errors import Conflict
from .._records import Change
from .._table import Table

R = TypeVar("R")


@attrs.define
class State:
    """Rows by table and id, as their newest after-images.

    Images stay text until somebody asks for the records: most are replaced before that.
    """

    seq: int = 0
    """The change that this is the state after."""
    _images: dict[str, dict[str, str]] = attrs.field(factory=dict)

    def apply(self, change: Change) -> None:
        """Go on by one change; those of tables that do not matter may be left out.

        Raises:
            Conflict: it does not come after the one before.
        """
        if change.seq <= self.seq:
            raise Conflict(f"change {change.seq} was replayed after {self.seq}")
        self.seq = change.seq
        rows = self._images.setdefault(change.entity, {})
        if change.after is None:
            rows.pop(change.entity_id, None)
        else:
            rows[change.entity_id] = change.after

    def images(self, entity: str) -> Mapping[str, str]:
        """Return the after-images of one table, by id."""
        return MappingProxyType(self._images.get(entity, {}))

    def get(self, table: Table[R], id_: str) -> R | None:
        """Return the record with this id, if there was one."""
        image = self.images(table.name).get(id_)
        return None if image is None else table.of_image(image)

    def all(self, table: Table[R]) -> list[R]:
        """Return the records of one table, in no order that means anything."""
        return [table.of_image(image) for image in self.images(table.name).values()]


def fold(changes: Iterable[Change], state: State | None = None) -> State:
    """Return the state after *changes*, which go on from *state*; by default from nothing."""
    state = State() if state is None else state
    for change in changes:
        state.apply(change)
    return state
