"""Answers that say at which place of the feed they were taken, so that a client can go on there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..actors import Mission
from ..storage import Reads


async def snapshot(mission: Mission, question: Callable[[Reads], dict[str, Any]]) -> dict[str, Any]:
    """Return what *question* answers and its `cursor`, both of one state of the database."""
    return await mission.reads.elsewhere(
        lambda reads: question(reads) | {"cursor": str(reads.cursor())}
    )
