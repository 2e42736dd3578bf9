"""Which home is meant where none is named; by itself, since every command asks first."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def default_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the home that is meant where none is named."""
    for name in ("MISSION_CONTROL_HOME", "OPENCLAW_STATE_DIR"):
        if environ.get(name):
            return Path(environ[name]).expanduser().absolute()
    return Path.home() / ".openclaw"
