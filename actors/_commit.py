"""The message by which a project's board is asked to commit something."""

from __future__ import annotations

from typing import Any

import attrs

from ..storage import Command, Fence


def board_name(project_id: str) -> str:
    """Under which a project's board is registered."""
    return f"board/{project_id}"


@attrs.frozen
class Commit:
    """Commit a command of this project; answered with its result."""

    command: Command[Any]
    by: str
    key: str | None = None
    fence: Fence | None = None
