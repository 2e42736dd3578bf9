"""A sidecar on a temporary home."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import mission_control
from mission_control import Config, MissionControl
from mission_control.config import ListenSettings, PulseDefaults
from mission_control.storage import Clock
from rig import FAST, Open, ScriptedRunner

# On a busy machine an example takes as long as it takes, and so does drawing it.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", patient)
settings.register_profile("deep", patient, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session", autouse=True)
def as_from_a_terminal() -> None:
    """Hear Ctrl-C, which is ignored by what runs in the background; make files for others to read.

    What tests start inherits both.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.umask(0o022)


@pytest.fixture
def open_home(tmp_path: Path) -> Open:
    """Return a function that runs a sidecar on one home: `async with open_home(runner) as mc`."""

    @asynccontextmanager
    async def open_(
        runner: ScriptedRunner, pulse: PulseDefaults = FAST, clock: Clock | None = None
    ) -> AsyncIterator[MissionControl]:
        config = Config(listen=ListenSettings(port=0), pulse=pulse)
        home = tmp_path / "home"
        async with mission_control.open(home, config, runner=runner, clock=clock) as mc:
            yield mc

    return open_
