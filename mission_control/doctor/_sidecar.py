"""Asks the sidecar that runs, if one does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import trio

from ..actors import Home
from ..gateway_bridge import connect
from ..storage import MissionError
from ._finding import Finding, fault, hint, ok, warning

TIMEOUT_S = 10.0


async def examine_sidecar(home: Home) -> list[Finding]:
    """Return what the sidecar on this home says of itself."""
    try:
        announced = json.loads(home.endpoint.read_text("utf-8"))
        url, token = str(announced["url"]), home.token.read_text("ascii").strip()
    except (OSError, ValueError, KeyError, TypeError):  # none announced itself
        return [hint("sidecar", "none runs on this home", "start it with 'mission-control run'")]
    try:
        with trio.fail_after(TIMEOUT_S):
            async with connect(f"{url.replace('http', 'ws', 1)}/rpc", token) as client:
                return _judge(url, await client.call("mission.system.health"))
    except (MissionError, trio.TooSlowError) as error:
        return [fault("sidecar", f"it announced {url} and does not answer there: {error}", _AGAIN)]


_AGAIN = "end it if it still runs, and start it with 'mission-control run'"


def _judge(url: str, health: Mapping[str, Any]) -> list[Finding]:
    text = f"version {health.get('version')} runs at {url}"
    told = [warning("sidecar", each, "see docs/pulses.md") for each in health.get("warnings", ())]
    if not health.get("away"):
        return [ok("sidecar", f"{text}, and wakes agents"), *told]
    away = warning("sidecar", f"{text}; no pulse can be run: {health['away']}", "mend that")
    return [away, *told]
