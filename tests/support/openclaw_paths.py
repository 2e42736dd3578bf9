"""Where OpenClaw is; the tests that need it skip without it, or fail where it is required."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import attrs
import pytest

CACHE = Path(__file__).parents[2] / ".cache"


@attrs.frozen
class OpenClaw:
    """Where Node and OpenClaw are installed."""

    node: Path = CACHE / "node/node_modules/.bin/node"
    script: Path = CACHE / "openclaw/node_modules/openclaw/openclaw.mjs"

    @property
    def argv(self) -> tuple[str, str]:
        """The `openclaw` command."""
        return str(self.node), str(self.script)


def find_openclaw() -> OpenClaw:
    """Return the installation that `make test` made; skip or fail where there is none."""
    found = OpenClaw()
    if not (found.node.exists() and found.script.exists()):
        _do_without()
    return found


def _do_without() -> NoReturn:
    reason = "OpenClaw is not installed: run tests/openclaw_install.sh (0.9 GB)"
    if os.environ.get("MISSION_CONTROL_REQUIRE_OPENCLAW") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
