"""`mission.agent.*`: souls at work."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

import attrs
import trio

from ...actors import (
    Dismiss,
    Mission,
    SoulFile,
    profile_command,
    profile_of,
    roster_changed,
    roster_name,
    session_order,
)
from ...storage import (
    Agent,
    AgentStatus,
    Conflict,
    Invalid,
    MissionError,
    ProjectState,
)
from ...storage.commands import (
    CreateAgent,
    InstallSoul,
    SetAgentStatus,
)
from .._callers import Access
from .._snapshot import snapshot
from .._table import Request, method
from .._wire import to_wire


@attrs.frozen
class CreateParams:
    """Parameters of `mission.agent.create`: *instance_id*, or *soul* and *project_id*."""

    instance_id: str | None = None
    soul: str | None = None
    project_id: str | None = None
    soul_text: str | None = None
    """The persona; installed as SOUL.md where it is new."""
    interval_s: float | None = None
    timeout_s: float | None = None
    max_retries: int | None = None
    command: tuple[str, ...] = ()
    profile: str | None = None
    """In place of a command: a coding agent's command line that we know how to run."""
    gateway_agent: str = ""


@attrs.frozen
class AgentParams:
    """Parameters that name an agent."""

    instance_id: str


@attrs.frozen
class ListParams:
    """Parameters of `mission.agent.list`."""

    project_id: str | None = None


@attrs.frozen
class StateParams:
    """Parameters of `mission.agent.sync` and `set_state`."""

    instance_id: str
    status: AgentStatus
    current_task_id: str | None = None


def _names(params: CreateParams) -> tuple[str, str]:
    if params.instance_id is not None:
        soul, colon, project_id = params.instance_id.partition(":")
        if not colon:
            raise Invalid("instance_id must be <soul>:<project>", field="instance_id")
        return soul, project_id
    if params.soul is None or params.project_id is None:
        raise Invalid("give instance_id, or soul and project_id", field="soul")
    return params.soul, params.project_id


def _answer(agent: Agent) -> dict[str, Any]:
    return {"instance_id": agent.id, "agent": to_wire(agent)}


@method("mission.agent.create", CreateParams, Access.WRITE)
async def create(request: Request[CreateParams]) -> dict[str, Any]:
    """Put a soul to work in a project."""
    mission, params = request.mission, request.params
    soul, project_id = _names(params)
    settings = mission.settings
    command = CreateAgent(
        project_id,
        soul,
        settings.interval_s if params.interval_s is None else params.interval_s,
        settings.timeout_s if params.timeout_s is None else params.timeout_s,
        settings.max_retries if params.max_retries is None else params.max_retries,
        _command(params),
        params.gateway_agent,
    )
    _check(request, command)
    sha256 = await trio.to_thread.run_sync(
        _install, _soul_file(mission, soul), params.soul_text, f"You are {soul}.\n"
    )
    await mission.store.write(InstallSoul(soul, sha256), by=request.caller.name)
    agent = await request.commit(project_id, command)
    await roster_changed(mission, project_id)
    return _answer(agent)


def _command(params: CreateParams) -> tuple[str, ...]:
    if params.profile is None:
        profile_of(params.command)
        return params.command
    if params.command:
        message = "give command or profile; '@claude --model x' is a profile with more words"
        raise Invalid(message, field="profile")
    return profile_command(params.profile)


def _check(request: Request[CreateParams], command: CreateAgent) -> None:
    """Refuse what the command would refuse, before SOUL.md is written: that is not rolled back."""
    command.check()
    _require_active(request, command.project_id)
    known = request.mission.reads.has_agent(f"{command.soul}:{command.project_id}")
    if known and request.key is None:
        raise Conflict(f"agent {command.soul}:{command.project_id} exists already")


def _require_active(request: Request[Any], project_id: str) -> None:
    if request.mission.reads.project(project_id).state is ProjectState.ARCHIVED:
        raise Conflict(f"project {project_id!r} is archived: restore it first")


def _soul_file(mission: Mission, soul: str) -> SoulFile:
    path = mission.home.soul(soul)
    return SoulFile(path, below=path.parents[1])


def _install(file: SoulFile, text: str | None, default: str) -> str:
    """Write SOUL.md if *text* is given, or if there is none; return its checksum."""
    if text is None and file.path.exists():
        return hashlib.sha256(file.path.read_bytes()).hexdigest()
    _, sha256 = file.install(default if text is None else text)
    return sha256


@method("mission.agent.destroy", AgentParams, Access.WRITE)
async def destroy(request: Request[AgentParams]) -> dict[str, Any]:
    """Take an agent out of its project."""
    mission = request.mission
    agent = mission.reads.agent(request.params.instance_id)
    request.caller.require_project(agent.project_id)
    _require_active(request, agent.project_id)
    dismiss = Dismiss(agent.id, request.caller.name, request.key)
    session, order = mission.reads.session(agent.id), session_order(mission, agent)
    gone = _answer(await mission.ask(roster_name(agent.project_id), dismiss))
    if session is not None and not mission.reads.has_agent(agent.id):
        # Where the host is away it keeps the session, until an agent of this name needs one.
        with suppress(MissionError):
            await mission.runner.end_session(order)
    return gone


@method("mission.agent.list", ListParams, Access.READ, agents=True)
async def list_(request: Request[ListParams]) -> dict[str, Any]:
    """List the agents of one project, or of all."""
    project_id = request.params.project_id
    if project_id is not None:
        request.caller.require_project(project_id)
        request.mission.reads.project(project_id)
    return await snapshot(
        request.mission,
        lambda reads: {"agents": [to_wire(agent) for agent in reads.agents(project_id)]},
    )


@method("mission.agent.get_state", AgentParams, Access.READ)
async def get_state(request: Request[AgentParams]) -> dict[str, Any]:
    """Show one agent, its session and the attempt that runs."""
    reads = request.mission.reads
    agent = reads.agent(request.params.instance_id)
    session, pulse = reads.session(agent.id), reads.open_pulse(agent.id)
    return _answer(agent) | {
        "session": to_wire(session) if session else None,
        "pulse": to_wire(pulse) if pulse else None,
    }


@method("mission.agent.set_state", StateParams, Access.WRITE, "mission.agent.sync")
async def set_state(request: Request[StateParams]) -> dict[str, Any]:
    """Say what an agent is about."""
    params = request.params
    return await _set(request, params.instance_id, params.status, params.current_task_id)


@method("mission.agent.pause", AgentParams, Access.WRITE, "mission.pulse.pause")
async def pause(request: Request[AgentParams]) -> dict[str, Any]:
    """Give an agent no further pulses; the one that runs goes on to its end."""
    return await _set(request, request.params.instance_id, AgentStatus.PAUSED)


@method("mission.agent.resume", AgentParams, Access.WRITE, "mission.pulse.resume")
async def resume(request: Request[AgentParams]) -> dict[str, Any]:
    """Let a paused or failed agent go on."""
    return await _set(request, request.params.instance_id, AgentStatus.IDLE)


async def _set(
    request: Request[Any], agent_id: str, status: AgentStatus, task_id: str | None = None
) -> dict[str, Any]:
    agent = request.mission.reads.agent(agent_id)
    command = SetAgentStatus(agent_id, status, task_id)
    return _answer(await request.commit(agent.project_id, command))
