"""The real OpenClaw."""

from __future__ import annotations

import pytest

from openclaw_paths import OpenClaw, find_openclaw


@pytest.fixture(scope="module")
def openclaw() -> OpenClaw:
    return find_openclaw()
