"""`mission.agent.upgrade`: another persona, from the next pulse on."""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs
import trio

from ...actors import SoulFile
from ...storage import Agent, Conflict, Invalid, ProjectState
from ...storage.commands import UpgradeAgent
from .._callers import Access
from .._table import Request, method
from .._wire import to_wire


@attrs.frozen
class UpgradeParams:
    """Parameters of `mission.agent.upgrade`: *soul_text*, or the *sha256* of an older one."""

    instance_id: str
    soul_text: str | None = None
    sha256: str | None = None
    refinement: bool = False
    """Give this project's agent its own addition; else all of the soul's agents change."""


@method("mission.agent.upgrade", UpgradeParams, Access.WRITE)
async def upgrade(request: Request[UpgradeParams]) -> dict[str, Any]:
    """Install a new SOUL.md, which counts from the next pulse on; the old one is kept."""
    mission, params = request.mission, request.params
    agent = mission.reads.agent(params.instance_id)
    if (params.soul_text is None) is (params.sha256 is None):
        raise Invalid("give soul_text, or the sha256 of an older version", field="soul_text")
    if mission.reads.project(agent.project_id).state is ProjectState.ARCHIVED:
        # Before the file is written: that is not rolled back.
        raise Conflict(f"project {agent.project_id!r} is archived: restore it first")
    file = _file(request, agent)
    install = partial(_install, file, params.soul_text, params.sha256)
    previous, sha256 = await trio.to_thread.run_sync(install)
    command = UpgradeAgent(agent.id, sha256, params.refinement)
    upgraded = await request.commit(agent.project_id, command)
    return {
        "instance_id": agent.id,
        "agent": to_wire(upgraded),
        "sha256": sha256,
        "previous_sha256": previous,
    }


def _file(request: Request[UpgradeParams], agent: Agent) -> SoulFile:
    home = request.mission.home
    if request.params.refinement:
        scope = home.scope(agent.project_id)
        return SoulFile(scope.agent(agent.soul) / "SOUL.md", below=scope.path)
    return SoulFile(home.soul(agent.soul), below=home.soul(agent.soul).parents[1])


def _install(file: SoulFile, text: str | None, sha256: str | None) -> tuple[str | None, str]:
    return file.install(file.text_of(sha256 or "") if text is None else text)
