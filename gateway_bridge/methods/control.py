"""`mission.control.*`: what agents report; also the agent tools."""

from __future__ import annotations

from typing import Any

import attrs

from ...actors import Sign, pulse_name
from ...storage import Forbidden, Invalid
from ...storage.commands import DistillMemory, LogEvent, RequestHelp, UpdateChronicle
from .._callers import Access
from .._table import Request, method
from .._wire import to_wire


@attrs.frozen
class LogParams:
    """Parameters of `mission.control.log_event`."""

    task_id: str
    thought: str = attrs.field(metadata={"doc": "What you think, and what you are about to do."})
    action: str = attrs.field(default="", metadata={"doc": "The action you take next."})
    event_type: str = attrs.field(
        default="thought", metadata={"doc": "thought, plan, result, decision, ..."}
    )
    expect_silence_s: float = attrs.field(
        default=0.0, metadata={"doc": "Announce long silent work, in seconds, at most 3600."}
    )


@attrs.frozen
class HelpParams:
    """Parameters of `mission.control.request_help`."""

    task_id: str
    issue: str = attrs.field(metadata={"doc": "What you need from a human, so they can answer."})
    urgency: str = attrs.field(default="normal", metadata={"doc": "low, normal, high or critical"})


@attrs.frozen
class DistillParams:
    """Parameters of `mission.control.distill_memory`."""

    agent_id: str
    summary: str = attrs.field(metadata={"doc": "What you learned that will help you next time."})
    archive_working_notes: bool = True


@attrs.frozen
class ChronicleParams:
    """Parameters of `mission.control.update_chronicle`."""

    project_id: str
    summary: str = attrs.field(metadata={"doc": "What was done or decided."})
    technical_debt: str = attrs.field(default="", metadata={"doc": "What was left undone."})


@method("mission.control.log_event", LogParams, Access.WRITE, "mission.control.log", agents=True)
async def log_event(request: Request[LogParams]) -> dict[str, Any]:
    """Say what you think and what you are about to do."""
    params = request.params
    if not params.expect_silence_s >= 0:
        what = f"expect_silence_s must be 0 or more seconds, not {params.expect_silence_s}"
        raise Invalid(what, field="expect_silence_s")
    task = request.mission.reads.task(params.task_id)
    command = LogEvent(
        task.id,
        params.thought,
        params.action,
        params.event_type,
        request.agent_id,
    )
    event = await request.commit(task.project_id, command)
    if request.agent_id is not None:
        sign = Sign("log_event", params.expect_silence_s)
        request.mission.tell(pulse_name(request.agent_id), sign)
    return {"event_id": event.id}


@method(
    "mission.control.request_help", HelpParams, Access.WRITE, "mission.control.block", agents=True
)
async def request_help(request: Request[HelpParams]) -> dict[str, Any]:
    """Ask a human; your task is blocked, and your pulses halt, until they answer."""
    params = request.params
    task = request.mission.reads.task(params.task_id)
    command = RequestHelp(task.id, params.issue, params.urgency, request.agent_id)
    asked = await request.commit(task.project_id, command)
    return {"help_id": asked.id}


@method(
    "mission.control.distill_memory",
    DistillParams,
    Access.WRITE,
    "mission.control.distill",
    agents=True,
)
async def distill_memory(request: Request[DistillParams]) -> dict[str, Any]:
    """Keep what you learned from your task."""
    params = request.params
    if request.agent_id not in (None, params.agent_id):
        raise Forbidden(f"{request.agent_id} cannot speak for {params.agent_id}")
    agent = request.mission.reads.agent(params.agent_id)
    command = DistillMemory(agent.id, params.summary, params.archive_working_notes)
    memory = await request.commit(agent.project_id, command)
    return {"entry_id": memory.id}


@method("mission.control.update_chronicle", ChronicleParams, Access.WRITE, agents=True)
async def update_chronicle(request: Request[ChronicleParams]) -> dict[str, Any]:
    """Add to the project's story: what was done or decided, and what was left undone."""
    params = request.params
    command = UpdateChronicle(params.project_id, params.summary, params.technical_debt)
    entry = await request.commit(params.project_id, command)
    return {"entry_id": entry.id, "entry": to_wire(entry)}
