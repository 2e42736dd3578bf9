"""A sidecar on a temporary home."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import settings

import mission_control
from mission_control import Config, MissionControl
from mission_control.config import ListenSettings, PulseDefaults
from rig import FAST, Open, ScriptedRunner

# No deadline: on a busy machine an example takes as long as it takes.
settings.register_profile("quick", deadline=None)
settings.register_profile("deep", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture
def open_home(tmp_path: Path) -> Open:
    """Return a function that runs a sidecar on one home: `async with open_home(runner) as mc`."""

    @asynccontextmanager
    async def open_(
        runner: ScriptedRunner, pulse: PulseDefaults = FAST
    ) -> AsyncIterator[MissionControl]:
        config = Config(listen=ListenSettings(port=0), pulse=pulse)
        async with mission_control.open(tmp_path / "home", config, runner=runner) as mc:
            yield mc

    return open_
