"""Asks the Gateway about itself."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import trio

from ..actors import Home
from ..gateway_bridge import (
    PLUGIN_ID,
    TOOLS,
    Connection,
    GatewayAddress,
    GatewayRefused,
    open_connection,
)
from ..storage import Deadline, Invalid, MissionError, Reads, Unavailable
from . import _gateway_facts as facts
from ._finding import Finding, fault

TIMEOUT_S = 30.0


async def examine_gateway(address: GatewayAddress, agent: str, home: Path) -> list[Finding]:
    """Return what can be found out about the Gateway at *address* with the agent *agent*.

    None of its agents should reach *home*, ours.
    """
    try:
        async with open_connection(address, lambda _: None) as connection:
            return await _ask(connection, agent, home)
    except GatewayRefused as refused:
        return [fault("Gateway", refused.message, "see the line above")]
    except (Unavailable, Deadline) as away:
        return [fault("Gateway", away.message, "start it, or check gateway.url")]


async def _ask(connection: Connection, agent: str, home: Path) -> list[Finding]:
    clock = facts.clock(connection.hello.clock_ms, round(time.time() * 1000))
    # What the Gateway remembers of itself knows nothing of a plugin that was installed since.
    health = await _call(connection, "health", {"probe": True})
    system = await _call(connection, "system.info", {})
    found = [
        facts.version(connection.hello.version),
        clock,
        facts.disk(system),
    ]
    inspected = await _plugin(connection)
    found.append(facts.plugin(inspected, health, version_of("openclaw-mission-control")))
    if inspected is not None:
        found.append(await _link(connection, home))
        found.append(facts.prompt_hook(inspected))
        found.append(await _tools(connection, agent))
    config = await _call(connection, "config.get", {})
    parsed = config.get("parsed")
    settings = parsed if isinstance(parsed, dict) else {}
    return [*found, *facts.sandbox(settings, agent, home), *facts.own_turns(settings, agent)]


async def _plugin(connection: Connection) -> Mapping[str, Any] | None:
    try:
        return await _call(connection, "plugins.inspect", {"pluginId": PLUGIN_ID})
    except MissionError:
        return None  # it says so of a plugin that it does not have


async def _link(connection: Connection, home: Path) -> Finding:
    """Ask a question that goes through the plugin, and compare who answered it."""
    try:
        answer = await _call(connection, "mission.help.list", {"limit": 1})
    except MissionError as unanswered:
        return facts.no_link(unanswered.message)
    try:
        with closing(Reads(Home(home).database)) as reads:
            ours = await reads.elsewhere(lambda reads: reads.epoch())
    except (MissionError, sqlite3.Error):
        ours = ""  # the examination of the host says why
    return facts.link(str(answer.get("cursor")), ours, home)


async def _tools(connection: Connection, agent: str) -> Finding:
    try:
        catalog = await _call(connection, "tools.catalog", {"agentId": agent})
    except Invalid as unknown:
        return fault("agent tools", unknown.message, "check gateway.agent against 'agents.list'")
    return facts.tools(catalog, agent, sorted(TOOLS))


async def _call(
    connection: Connection, method: str, params: Mapping[str, Any]
) -> Mapping[str, Any]:
    try:
        with trio.fail_after(TIMEOUT_S):
            return await connection.call(method, params)
    except trio.TooSlowError:
        raise Deadline(f"the Gateway did not answer {method} in {TIMEOUT_S:g} s") from None
