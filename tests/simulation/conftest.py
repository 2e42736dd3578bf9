"""What a world needs to be in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .places import new_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return an empty folder."""
    with new_folder() as path:
        yield path
