"""`mission.pulse.*`: when agents are woken, what came of it, and a hand on what runs now."""

from __future__ import annotations

from typing import Any

import attrs

from ...actors import Kill, Restart, Wake, pulse_name, spending
from ...storage import (
    Agent,
    Conflict,
    Invalid,
    Limited,
    ProjectState,
    Pulse,
    PulsesOf,
    Reads,
    next_day,
)
from ...storage.commands import HALTED, SchedulePulses
from .._callers import Access
from .._snapshot import snapshot
from .._table import Request, method
from .._wire import to_wire
from .agents import AgentParams

MAX_PULSES = 500
MAX_REASON_CHARS = 1_000


@attrs.frozen
class ScheduleParams:
    """Parameters of `mission.pulse.schedule`; what is left out stays as it is."""

    instance_id: str
    interval_s: float | None = None
    timeout_s: float | None = None
    max_retries: int | None = None


@attrs.frozen
class ListParams:
    """Parameters of `mission.pulse.list`: of one owner, or of all that run now."""

    project_id: str | None = None
    instance_id: str | None = None
    task_id: str | None = None
    before: str | None = None
    """The `next` of the page before."""
    limit: int = 50


@attrs.frozen
class PulseParams:
    """Parameters that name an attempt."""

    pulse_id: str


@attrs.frozen
class EndParams:
    """Parameters of `mission.pulse.kill` and `restart`."""

    instance_id: str
    reason: str = "an operator ended it"


@method("mission.pulse.schedule", ScheduleParams, Access.WRITE)
async def schedule(request: Request[ScheduleParams]) -> dict[str, Any]:
    """Say when an agent is woken, how long a pulse may take, and how often a task may fail."""
    params = request.params
    agent = request.mission.reads.agent(params.instance_id)
    command = SchedulePulses(agent.id, params.interval_s, params.timeout_s, params.max_retries)
    return _answer(await request.commit(agent.project_id, command))


@method("mission.pulse.list", ListParams, Access.READ)
async def list_(request: Request[ListParams]) -> dict[str, Any]:
    """List the pulses of a task, an agent or a project, newest first; or all that run now."""
    params = request.params
    if not 1 <= params.limit <= MAX_PULSES:
        raise Invalid(f"limit must be 1 to {MAX_PULSES}, not {params.limit}", field="limit")
    of = _owner(request)
    return await snapshot(request.mission, lambda reads: _page(reads, of, params))


def _owner(request: Request[ListParams]) -> PulsesOf | None:
    params, reads = request.params, request.mission.reads
    if params.task_id is not None:
        request.caller.require_project(reads.task(params.task_id).project_id)
        return PulsesOf("task_id", params.task_id)
    if params.instance_id is not None:
        request.caller.require_project(reads.agent(params.instance_id).project_id)
        return PulsesOf("agent_id", params.instance_id)
    if params.project_id is not None:
        request.caller.require_project(reads.project(params.project_id).id)
        return PulsesOf("project_id", params.project_id)
    return None


def _page(reads: Reads, of: PulsesOf | None, params: ListParams) -> dict[str, Any]:
    if of is None:
        return {"pulses": [to_wire(pulse) for pulse in reads.running_pulses()], "next": None}
    before = reads.pulse(params.before) if params.before is not None else None
    found = reads.pulses(of, before, params.limit + 1)
    page = found[: params.limit]
    following = page[-1].id if len(found) > params.limit else None
    return {"pulses": [to_wire(pulse) for pulse in page], "next": following}


@method("mission.pulse.get", PulseParams, Access.READ)
async def get(request: Request[PulseParams]) -> dict[str, Any]:
    """Show one pulse: what it was for, how it ended, and what it took."""
    pulse: Pulse = request.mission.reads.pulse(request.params.pulse_id)
    request.caller.require_project(pulse.project_id)
    return {"pulse_id": pulse.id, "pulse": to_wire(pulse)}


@method("mission.pulse.trigger", AgentParams, Access.WRITE, "mission.agent.trigger")
async def trigger(request: Request[AgentParams]) -> dict[str, Any]:
    """Run a pulse of an agent now."""
    agent = _active(request, request.params.instance_id)
    _require_ready(request, agent)
    request.mission.find(pulse_name(agent.id)).tell(Wake(triggered=True))
    return _answer(agent)


@method("mission.pulse.kill", EndParams, Access.WRITE, "mission.agent.kill")
async def kill(request: Request[EndParams]) -> dict[str, Any]:
    """Abort the attempt that an agent makes now; its task goes back to the backlog."""
    agent = _to_end(request)
    if request.mission.reads.open_pulse(agent.id) is None:
        raise Conflict(f"no attempt of {agent.id} runs: there is nothing to end")
    request.mission.find(pulse_name(agent.id)).tell(Kill(request.params.reason))
    return _answer(agent)


@method("mission.pulse.restart", EndParams, Access.WRITE)
async def restart(request: Request[EndParams]) -> dict[str, Any]:
    """Abort the attempt that an agent makes now, without blame, and begin another at once."""
    agent = _to_end(request)
    _require_ready(request, agent)
    request.mission.find(pulse_name(agent.id)).tell(Restart(request.params.reason))
    return _answer(agent)


def _to_end(request: Request[EndParams]) -> Agent:
    if len(request.params.reason) > MAX_REASON_CHARS:
        raise Invalid(f"reason must have at most {MAX_REASON_CHARS} characters", field="reason")
    return _active(request, request.params.instance_id)


def _active(request: Request[Any], agent_id: str) -> Agent:
    """Return an agent whose project is active, and is the caller's."""
    reads = request.mission.reads
    agent = reads.agent(agent_id)
    request.caller.require_project(agent.project_id)
    if reads.project(agent.project_id).state is ProjectState.ARCHIVED:
        raise Conflict(f"project {agent.project_id!r} is archived: restore it first")
    return agent


def _require_ready(request: Request[Any], agent: Agent) -> None:
    if agent.status in HALTED:
        what = f"agent {agent.id} is {agent.status.value}"
        raise Conflict(f"{what}: resume it, or answer what it asked, and trigger it then")
    now = request.mission.clock.now_us()
    budget = request.mission.reads.spent_budget(agent.project_id, now)
    if budget is not None:
        raise Limited(
            f"{spending(budget)}: raise the budget, or wait for the next day",
            retry_after_ms=(next_day(now) - now) // 1000,
        )


def _answer(agent: Agent) -> dict[str, Any]:
    return {"instance_id": agent.id, "agent": to_wire(agent)}
