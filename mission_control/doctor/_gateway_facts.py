"""What the Gateway's own answers say about it: pure judgement, no IO.

The payloads are those of `health`, `config.get`, `plugins.inspect`, `tools.catalog` and
`system.info` of OpenClaw 2026.9.6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from ..gateway_bridge import sandbox_leaks, wakes_by_itself
from ._finding import Finding, fault, hint, ok, warning

KNOWN_VERSION = "2026.9.6"
"""Of OpenClaw, that our tests run against."""
SKEW_S = 5.0
"""Clocks that differ by more make times in the two logs hard to compare; 120 s break pairing."""
LOW_DISK = 1 << 30

_INSTALL = "run 'mission-control install-plugin'"


def version(found: str) -> Finding:
    """Judge the Gateway's version."""
    if found == KNOWN_VERSION:
        return ok("Gateway", f"OpenClaw {found}, protocol 4, all scopes granted")
    return hint(
        "Gateway",
        f"OpenClaw {found or 'of unknown version'} answers; our tests run with {KNOWN_VERSION}",
        "if something behaves oddly, try that version",
    )


def clock(gateway_ms: int, ours_ms: int) -> Finding:
    """Compare the clocks of the two hosts."""
    skew_s = abs(gateway_ms - ours_ms) / 1000
    if skew_s <= SKEW_S:
        return ok("clocks", "the Gateway's clock and ours agree")
    return warning(
        "clocks", f"the Gateway's clock and ours differ by {skew_s:.0f} s", "set both by NTP"
    )


def disk(system: Mapping[str, Any]) -> Finding:
    """Judge the room on the Gateway's disk."""
    free = system.get("diskAvailableBytes")
    if not isinstance(free, int):
        return hint("Gateway's disk", "the Gateway does not say how full it is", "look there")
    text = f"{free / (1 << 30):.1f} GiB free"
    if free >= LOW_DISK:
        return ok("Gateway's disk", text)
    return warning("Gateway's disk", text, "make room: sessions are written there")


def plugin(inspected: Mapping[str, Any] | None, health: Mapping[str, Any], ours: str) -> Finding:
    """Judge the bridge plugin: there, loaded, and of our version (*ours*)."""
    if inspected is None:
        return warning(
            "plugin",
            "the Gateway does not have it: agents there have no mission tools, and operators no"
            " mission.* methods",
            _INSTALL,
        )
    found = str(_mapping(inspected, "plugin").get("version"))
    if not _mapping(inspected, "plugin").get("enabled"):
        return fault("plugin", f"version {found} is installed and disabled", _INSTALL)
    if "mission-control" not in _mapping(health, "plugins").get("loaded", ()):
        return fault("plugin", f"version {found} is not loaded: see the Gateway's log", _INSTALL)
    if found != ours:
        return warning("plugin", f"version {found}; the sidecar has {ours}", f"{_INSTALL} again")
    return ok("plugin", f"version {found}, the sidecar's")


def link(cursor: str, ours: str, home: PurePath) -> Finding:
    """Judge by a *cursor* whose sidecar the plugin is connected to; *ours* is the home's epoch."""
    if cursor.partition(".")[0] == ours:
        return ok("plugin's link", "the plugin is connected to the sidecar of this home")
    return fault(
        "plugin's link",
        f"the plugin is connected to a sidecar with another home than {home}: agents of this one"
        " would have no tools there",
        f"give the right --home, or run 'mission-control --home {home} install-plugin'",
    )


def no_link(why: str) -> Finding:
    """Say why a call through the plugin was not answered."""
    return warning(
        "plugin's link",
        f"the plugin is connected to no sidecar ({why})",
        f"start the sidecar of this home; where it runs, {_INSTALL} with its --home and address",
    )


def prompt_hook(inspected: Mapping[str, Any]) -> Finding:
    """Judge whether the plugin may put the status text into the prompt."""
    grants = _mapping(_mapping(inspected, "grants"), "hooks")
    if _mapping(grants, "allowConversationAccess").get("effective"):
        return ok("prompt hook", "the status text goes into the prompt through the plugin")
    return warning(
        "prompt hook",
        "the plugin may not touch prompts: a turn that the Gateway resumes by itself lacks the"
        " status text",
        f"{_INSTALL} again, which sets hooks.allowConversationAccess",
    )


def tools(catalog: Mapping[str, Any], agent: str, wanted: Sequence[str]) -> Finding:
    """Judge whether the agent *agent* of the Gateway is offered our tools."""
    offered = {
        str(tool.get("id"))
        for group in catalog.get("groups", ())
        for tool in _mapping({"group": group}, "group").get("tools", ())
        if isinstance(tool, dict)
    }
    missing = sorted(set(wanted) - offered)
    if not missing:
        return ok("agent tools", f"agent {agent} is offered all {len(wanted)} mission tools")
    return fault(
        "agent tools",
        f"agent {agent} is not offered {', '.join(missing)}",
        "see tools.allow and tools.deny in openclaw.json: add 'mission-control'",
    )


def sandbox(config: Mapping[str, Any], agent: str, home: PurePath) -> Iterator[Finding]:
    """Judge what keeps commands of the agent *agent* inside its folder, and out of *home*."""
    leaks = list(sandbox_leaks(config, agent, home))
    for leak in leaks:
        say = warning if leak.grave else hint
        yield say(leak.topic, leak.text, leak.remedy)
    if not any(leak.grave for leak in leaks):
        yield ok("sandbox", f"commands of agent {agent} run in a sandbox, or not at all")


def own_turns(config: Mapping[str, Any], agent: str) -> Iterator[Finding]:
    """Judge whether the Gateway asks the model of the agent *agent* without our pulses."""
    if wakes_by_itself(config, agent):
        yield hint(
            "own turns",
            f"a command that agent {agent} leaves in the background wakes it when it ends: a call"
            " of the model that is no pulse's, and on no budget",
            "set tools.exec.notifyOnExit to false, if pulses are to be all",
        )


def _mapping(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}
