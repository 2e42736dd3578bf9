"""How often the product looks after things by itself: seldom, for most such looks find nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from mission_control.actors import _attempt, _deletion

from .replacing import replacing


@contextmanager
def seldom() -> Iterator[None]:
    """Let it look as rarely in the block as a day that passes in a second allows."""
    with ExitStack() as stack:
        stack.enter_context(replacing(_attempt, "REACHABLE_POLL_S", 10.0))
        stack.enter_context(replacing(_deletion, "LOOK_AGAIN_S", 1_800.0))
        yield
