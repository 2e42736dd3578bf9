"""A picture of a system."""

from __future__ import annotations

from typing import Literal

import attrs
import trio

from ._cell import Cell
from ._exits import Crash


@attrs.frozen
class TreeNode:
    """One child and those below it, as they are at one moment."""

    path: str
    id: str
    kind: Literal["worker", "supervisor"]
    state: Literal["running", "restarting", "stopped"]
    mailbox: int
    """Messages that are queued or wait in line."""
    restarts: int
    uptime_s: float
    """Of the incarnation that runs; 0 where none does."""
    last_error: str | None
    """Of the last crash, if the last end was one."""
    children: tuple[TreeNode, ...]
    """In start order."""


def tree_of(cell: Cell) -> TreeNode:
    """Draw *cell* and what is below."""
    incarnation = cell.incarnation
    actor = None if incarnation is None else incarnation.actor
    below = () if actor is None else actor._below()  # noqa: SLF001
    last = cell.last_exit
    return TreeNode(
        path=cell.path,
        id=cell.id,
        kind=cell.spec.kind,
        state=cell.state,
        mailbox=cell.mailbox.depth,
        restarts=cell.restarts,
        uptime_s=0.0 if incarnation is None else trio.current_time() - cell.started_at,
        last_error=str(last) if isinstance(last, Crash) else None,
        children=tuple(tree_of(child) for child in below),
    )
