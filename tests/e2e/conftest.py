"""Where OpenClaw is; the tests that need it skip without it, or fail where it is required."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

from .gateway_stack import OpenClaw

CACHE = Path(__file__).parents[2] / ".cache"


@pytest.fixture(scope="module")
def openclaw() -> OpenClaw:
    found = OpenClaw(
        node=CACHE / "node/node_modules/.bin/node",
        script=CACHE / "openclaw/node_modules/openclaw/openclaw.mjs",
    )
    if not (found.node.exists() and found.script.exists()):
        _do_without()
    return found


def _do_without() -> NoReturn:
    reason = "OpenClaw is not installed: run tests/openclaw_install.sh (0.9 GB)"
    if os.environ.get("MISSION_CONTROL_REQUIRE_OPENCLAW") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
