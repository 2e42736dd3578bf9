"""`mission.session.*`: the conversations in which agents work.

What is injected is kept here until the agent's next status text carries it.  The Gateway has no
call that appends what a model sees: rows of `chat.inject` are left out of every prompt, and stand
in the transcript as words that the agent never said; a `system-event` is held in memory only, and
turns of ours do not drain it.
"""

from __future__ import annotations

from typing import Any

import attrs

from ...actors import (
    EndSession,
    EnsureSession,
    Mission,
    Page,
    RestartSession,
    SessionStatus,
    recorded,
    session_name,
    session_order,
)
from ...storage import (
    Agent,
    Conflict,
    Deadline,
    Forbidden,
    Invalid,
    Limited,
    NotFound,
    ProjectState,
    Session,
    Unavailable,
)
from ...storage.commands import SendMessage
from .._callers import Access
from .._snapshot import snapshot
from .._table import Request, method
from .._wire import to_wire

MAX_ENTRIES = 200
OPEN_WITHIN_S = 180.0
"""The Gateway may take a minute for each of the two or three calls, while it warms up."""


@attrs.frozen
class ListParams:
    """Parameters of `mission.session.list`."""

    project_id: str | None = None


@attrs.frozen
class SessionParams:
    """Parameters that name an agent, and so its session."""

    instance_id: str


@attrs.frozen
class InjectParams:
    """Parameters of `mission.session.inject`."""

    instance_id: str
    text: str


@attrs.frozen
class LogsParams:
    """Parameters of `mission.session.logs`."""

    instance_id: str
    cursor: str | None = None
    """The `earlier` of another page; without one, the newest entries."""
    limit: int = 50


@method("mission.session.list", ListParams, Access.READ, agents=True)
async def list_(request: Request[ListParams]) -> dict[str, Any]:
    """List the sessions of one project, or of all; an agent sees its own."""
    project_id, own = request.params.project_id, request.agent_id
    if project_id is not None:
        request.caller.require_project(project_id)
        request.mission.reads.project(project_id)
    return await snapshot(
        request.mission,
        lambda reads: {
            "sessions": [
                _record(session)
                for session in reads.sessions(project_id)
                if own in (None, session.id)
            ]
        },
    )


@method("mission.session.status", SessionParams, Access.READ, agents=True)
async def status(request: Request[SessionParams]) -> dict[str, Any]:
    """Show how an agent's session stands, here and in the runner's host."""
    mission, agent = request.mission, _own(request)
    known, pulse = mission.reads.session(agent.id), mission.reads.open_pulse(agent.id)
    found, away = await _in_host(mission, agent)
    return {
        "instance_id": agent.id,
        "session": _record(known) if known is not None else None,
        "in_host": to_wire(found) if found is not None else None,
        "known": known is not None,
        "known_in_host": None if away else found is not None,
        "away": away,
        "busy": pulse is not None or (found is not None and found.busy),
    }


async def _in_host(mission: Mission, agent: Agent) -> tuple[SessionStatus | None, str | None]:
    """Return what the host says, or why it cannot be asked."""
    away = mission.runner.away
    if away is not None:
        return None, away
    try:
        return await mission.runner.session_status(session_order(mission, agent)), None
    except (Deadline, Limited, Unavailable) as failure:
        return None, failure.message


@method("mission.session.create", SessionParams, Access.WRITE)
async def create(request: Request[SessionParams]) -> dict[str, Any]:
    """See that an agent's session exists; its first pulse would make it otherwise."""
    return await _ask(request, EnsureSession())


@method("mission.session.restart", SessionParams, Access.WRITE)
async def restart(request: Request[SessionParams]) -> dict[str, Any]:
    """Begin an agent's session afresh, under the same key; not while a pulse runs in it."""
    return await _ask(request, RestartSession(request.caller.name, request.key))


@method("mission.session.destroy", SessionParams, Access.WRITE)
async def destroy(request: Request[SessionParams]) -> dict[str, Any]:
    """Remove an agent's session; not while a pulse runs in it.  The next pulse makes another."""
    return await _ask(request, EndSession(request.caller.name, request.key))


async def _ask(request: Request[SessionParams], message: object) -> dict[str, Any]:
    mission, agent = request.mission, request.mission.reads.agent(request.params.instance_id)
    if mission.reads.project(agent.project_id).state is ProjectState.ARCHIVED:
        raise Conflict(f"project {agent.project_id!r} is archived: restore it first")
    session = await mission.ask(session_name(agent.id), message, timeout_s=OPEN_WITHIN_S)
    return {"instance_id": agent.id, "session": _record(session)}


@method("mission.session.inject", InjectParams, Access.WRITE)
async def inject(request: Request[InjectParams]) -> dict[str, Any]:
    """Leave a note that an agent's next status text carries; it causes no pulse."""
    params = request.params
    agent = request.mission.reads.agent(params.instance_id)
    command = SendMessage(agent.id, params.text, wakes=False)
    sent = await request.commit(agent.project_id, command)
    return {"message_id": sent.id, "message": to_wire(sent)}


@method("mission.session.logs", LogsParams, Access.READ, agents=True)
async def logs(request: Request[LogsParams]) -> dict[str, Any]:
    """Show what was said in an agent's session, the newest page first, each oldest first."""
    params, mission = request.params, request.mission
    if not 1 <= params.limit <= MAX_ENTRIES:
        raise Invalid(f"limit must be 1 to {MAX_ENTRIES}", field="limit")
    agent = _own(request)
    session = mission.reads.session(agent.id)
    if session is None:
        raise NotFound(f"{agent.id} has no session yet", field="instance_id")
    page = await _page(mission, agent, session, params)
    return {
        "instance_id": agent.id,
        "entries": [to_wire(entry) for entry in page.entries],
        "earlier": page.earlier,
    }


async def _page(mission: Mission, agent: Agent, session: Session, params: LogsParams) -> Page:
    cursor, limit = params.cursor, params.limit
    page = None
    if session.runner == mission.runner.name:
        order = session_order(mission, agent)
        page = await mission.runner.transcript(order, cursor=cursor, limit=limit)
    return page or recorded(mission.reads, session, cursor=cursor, limit=limit)


def _own(request: Request[Any]) -> Agent:
    """Return the agent that is meant; an agent may mean itself only."""
    agent = request.mission.reads.agent(request.params.instance_id)
    if request.agent_id not in (None, agent.id):
        raise Forbidden(f"{request.agent_id} may look at its own session only")
    return agent


def _record(session: Session) -> dict[str, Any]:
    return {"instance_id": session.id} | to_wire(session)
