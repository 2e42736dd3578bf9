"""The agents that a Gateway has of its own: who they are, and what their SOUL.md says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from ..actors import HostAgent
from ._transcript import part, records

Ask: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Calls a method of the Gateway: over the link, or over a connection of one's own."""


async def agents_of(ask: Ask) -> tuple[HostAgent, ...]:
    """Return the agents that a Gateway is configured with.

    Raises:
        MissionError: as the call does.
    """
    listed = records(await ask("agents.list", {}), "agents")
    return tuple(_agent(each) for each in listed if each.get("id"))


async def soul_of(ask: Ask, agent_id: str) -> str | None:
    """Return the SOUL.md in the workspace of an agent; None where there is none.

    Raises:
        Invalid: there is no such agent, or the file is a link to somewhere else.
        MissionError: as the call does.
    """
    answer = await ask("agents.files.get", {"agentId": agent_id, "name": "SOUL.md"})
    content = part(answer, "file").get("content")
    return content if isinstance(content, str) else None


def _agent(listed: Mapping[str, Any]) -> HostAgent:
    id_, model = str(listed["id"]), listed.get("model")
    primary = model.get("primary") if isinstance(model, dict) else model
    name = listed.get("name") or part(listed, "identity").get("name")
    return HostAgent(
        id=id_,
        name=str(name or id_),
        workspace=str(listed.get("workspace") or ""),
        model=str(primary or ""),
    )
