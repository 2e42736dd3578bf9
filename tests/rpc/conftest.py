"""A sidecar with limits of the test's choice, and both of its doors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import mission_control
from besieged import Besiege, Besieged
from mission_control import Config
from mission_control.config import ListenSettings
from mission_control.gateway_bridge import Limits
from rig import FAST
from system_doors import idle, websocket


@pytest.fixture
def besiege(tmp_path: Path) -> Besiege:
    """Return a function that runs a sidecar with the limits that it is given, and a witness."""

    @asynccontextmanager
    async def run(**limits: float) -> AsyncIterator[Besieged]:
        config = Config(
            listen=ListenSettings(port=0),
            pulse=FAST,
            limits=Limits(**limits),  # type: ignore[arg-type]  # the test knows their types
        )
        async with mission_control.open(tmp_path / "home", config, runner=idle()) as mc:
            token = (await mc.call("mission.token.create", name="witness", scope="read"))["token"]
            async with websocket(mc, token=token) as witness:
                besieged = Besieged(mc, witness)
                yield besieged
                await besieged.stands()

    return run
