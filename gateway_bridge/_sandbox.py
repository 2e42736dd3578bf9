"""Whether the Gateway's sandbox holds its agents inside their projects: a judgement, without IO.

The keys are those of `config.get` of OpenClaw 2026.9.6, whose `docs/gateway/sandboxing.md` says
what they mean.  A plugin cannot replace the sandbox: it sees what tools are asked to do, and not
what commands then do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

import attrs

_ON = ("all", "non-main")
"""Our sessions are never an agent's main session."""
_EXEC = frozenset({"exec", "group:runtime", "*"})


@attrs.frozen
class Leak:
    """A way out that the settings leave open."""

    topic: str
    text: str
    remedy: str
    grave: bool = True
    """Whether commands get out by it; else a second fence is missing."""


def sandbox_leaks(config: Mapping[str, Any], agent: str, home: PurePath) -> Iterator[Leak]:
    """Yield what is open.

    Args:
        config: the Gateway's, as parsed.
        agent: the Gateway's agent that lends model and tools.
        home: ours, whose token and database no agent should see.
    """
    box, tools = _of_agent(config, agent, "sandbox"), _tools(config, agent)
    runs_commands = _runs_commands(tools)
    if box.get("mode", "off") not in _ON:
        if runs_commands:
            yield _off(box, agent)
        if not _mapping(tools, "fs").get("workspaceOnly"):
            yield _FILE_TOOLS
        return
    yield from _weak(box, home)
    if runs_commands:
        yield from _round_it(tools)


def wakes_by_itself(config: Mapping[str, Any], agent: str) -> bool:
    """Say whether the Gateway asks *agent*'s model each time a background command ends."""
    tools = _tools(config, agent)
    return _runs_commands(tools) and tools["exec"].get("notifyOnExit") is not False


def _runs_commands(tools: Mapping[str, Any]) -> bool:
    return not _EXEC & {str(name) for name in tools.get("deny") or ()}


def _off(box: Mapping[str, Any], agent: str) -> Leak:
    mode = box.get("mode", "off")
    return Leak(
        "sandbox",
        f"sandbox mode is {mode!r} for agent {agent}: what its commands write is not held inside"
        " the project, whatever the file tools refuse",
        "set agents.defaults.sandbox.mode to 'all', or give the agent no exec tool; see"
        " docs/exec.md",
    )


_FILE_TOOLS = Leak(
    "file tools",
    "OpenClaw's own file tools are held inside the scope by the plugin alone",
    "set tools.fs.workspaceOnly to true for a second fence",
    grave=False,
)


def _weak(box: Mapping[str, Any], home: PurePath) -> Iterator[Leak]:
    access = box.get("workspaceAccess", "none")
    if access != "rw":
        yield Leak(
            "sandbox",
            f"workspaceAccess is {access!r}: what agents write in the sandbox does not arrive in"
            " their project",
            "set agents.defaults.sandbox.workspaceAccess to 'rw'; see docs/exec.md",
        )
    if box.get("scope", "agent") == "shared":
        yield Leak(
            "sandbox",
            "all agents share one sandbox, so one project's agents reach another's files",
            "set agents.defaults.sandbox.scope to 'session'",
        )
    docker = _mapping(box, "docker")
    if docker.get("network") == "host":
        yield Leak(
            "sandbox",
            "the sandbox has the host's network, and so every service that listens on loopback",
            "set agents.defaults.sandbox.docker.network to 'none' or 'bridge'",
        )
    for bind in docker.get("binds") or ():
        source = PurePath(str(bind).partition(":")[0])
        if source.name == "docker.sock" or home.is_relative_to(source):
            yield Leak(
                "sandbox",
                f"the sandbox shows its agents {source}: with it they reach everything",
                "mount no more than the folders of projects",
            )


def _round_it(tools: Mapping[str, Any]) -> Iterator[Leak]:
    host = _mapping(tools, "exec").get("host", "auto")
    if host in ("gateway", "node"):
        yield Leak(
            "exec",
            f"tools.exec.host is {host!r}: commands run outside the sandbox",
            "set tools.exec.host to 'auto' or 'sandbox'",
        )
    if _mapping(tools, "elevated").get("enabled") is True:
        yield Leak(
            "exec",
            "tools.elevated.enabled lets a command ask to run outside the sandbox",
            "set tools.elevated.enabled to false",
        )


def _tools(config: Mapping[str, Any], agent: str) -> dict[str, Any]:
    """Return the tool settings of *agent* over those of all."""
    general = _mapping(config, "tools")
    own = _mapping(_entry(config, agent), "tools")
    merged = general | own
    for name in ("exec", "elevated", "fs"):
        merged[name] = _mapping(general, name) | _mapping(own, name)
    merged["deny"] = [*(general.get("deny") or ()), *(own.get("deny") or ())]
    return merged


def _of_agent(config: Mapping[str, Any], agent: str, key: str) -> dict[str, Any]:
    defaults = _mapping(_mapping(_mapping(config, "agents"), "defaults"), key)
    own = _mapping(_entry(config, agent), key)
    merged = defaults | own
    merged["docker"] = _mapping(defaults, "docker") | _mapping(own, "docker")
    return merged


def _entry(config: Mapping[str, Any], agent: str) -> dict[str, Any]:
    return _mapping(_mapping(_mapping(config, "agents"), "entries"), agent)


def _mapping(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}
