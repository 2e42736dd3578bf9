"""Looks at each call of OpenClaw's own tools: refuses paths, and advises on commands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import attrs
import trio

from ..actors import Mission
from ..storage import OURSELVES, Agent, MissionError
from ..storage.commands import LogEvent
from ._exec_advice import Place, advice
from ._scope import COMMANDS, ToolScope

MAX_REMEMBERED = 1_000
"""Warnings that are not written to the thought stream once more."""


@attrs.frozen
class ToolCall:
    """What the plugin says of a call that is about to be made."""

    tool: str
    params: Mapping[str, Any]
    """As the model wrote them, perhaps without long texts."""
    derived: object = None
    """The paths that the Gateway itself found in them."""


class ToolCheck:
    """Judges the calls of all agents."""

    def __init__(self, mission: Mission) -> None:
        self._mission = mission
        self._said: dict[tuple[str, str], None] = {}

    async def check(self, agent: Agent, call: ToolCall) -> dict[str, Any]:
        """Return why the call is blocked, if it is, and what its agent should be told."""
        scope = self._mission.home.scope(agent.project_id)
        held = ToolScope(scope.path, scope.src, scope.agent(agent.soul) / "working.md")
        # In threads: one looks at the disk, which may be slow, the other reads long lines.
        block = await trio.to_thread.run_sync(held.refusal, call.tool, call.params, call.derived)
        if block is not None or call.tool not in COMMANDS:
            return {"block": block}
        warnings = await trio.to_thread.run_sync(_advice, held, call.params)
        await self._note(agent, warnings)
        return {"block": None, "warn": list(warnings)}

    async def _note(self, agent: Agent, warnings: tuple[str, ...]) -> None:
        """Say it in the thought stream of the task, once an attempt."""
        attempt = self._mission.reads.open_pulse(agent.id)
        if attempt is None or attempt.task_id is None:
            return
        for warning in warnings:
            if (attempt.id, warning) in self._said:
                continue
            self._said[attempt.id, warning] = None
            event = LogEvent(attempt.task_id, warning, event_type="advice")
            with suppress(MissionError):  # advice that cannot be written down holds up nobody
                await self._mission.commit(agent.project_id, event, by=OURSELVES)
        while len(self._said) > MAX_REMEMBERED:
            del self._said[next(iter(self._said))]


def _advice(held: ToolScope, params: Mapping[str, Any]) -> tuple[str, ...]:
    command = params.get("command")
    if isinstance(command, list):
        command = [word for word in command if isinstance(word, str)]
    elif not isinstance(command, str):
        return ()
    workdir = params.get("workdir", params.get("cwd"))
    cwd = held.cwd / workdir if isinstance(workdir, str) else held.cwd
    place = Place(
        project=str(held.project),
        src=str(held.cwd),
        notes=str(held.notes),
        cwd=str(cwd),
        home=os.path.expanduser("~"),  # noqa: PTH111 - a folder that need not be known
    )
    return advice(command, place)
