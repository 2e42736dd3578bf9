"""`mission.agent.message`: what agents, and people, have to say to an agent."""

from __future__ import annotations

import secrets
from typing import Any

import attrs
import trio
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from ...actors import Mission
from ...storage import (
    Agent,
    Deadline,
    Invalid,
    Limited,
    Message,
    NotFound,
    ProjectState,
    Unavailable,
)
from ...storage.commands import HALTED, SendMessage
from .._callers import Access
from .._table import Request, method
from .._wire import to_wire

DELIVER_WITHIN_S = 20.0
"""How long a message is offered to a storage that is restarting."""


@attrs.frozen
class MessageParams:
    """Parameters of `mission.agent.message`: *instance_id*, or *to*."""

    text: str = attrs.field(metadata={"doc": "What you have to say."})
    instance_id: str | None = None
    to: str | None = attrs.field(
        default=None, metadata={"doc": "The agent's name, such as okoye or okoye:my-project."}
    )
    """As *instance_id*; from an agent also a soul of its own project."""


@method("mission.agent.message", MessageParams, Access.WRITE, agents=True)
async def message(request: Request[MessageParams]) -> dict[str, Any]:
    """Leave a note for an agent, which is woken to read it.

    The answer says `delivered` where the note is in its hands and it is woken, or `queued` where
    it gets no pulses now.
    """
    agent = _addressee(request)
    sent = await _deliver(request, agent, SendMessage(agent.id, request.params.text))
    why = _why_queued(request.mission, agent.id)
    return {
        "message_id": sent.id,
        "message": to_wire(sent),
        "delivery": "queued" if why else "delivered",
        "why": why,
    }


def _addressee(request: Request[MessageParams]) -> Agent:
    params, identity = request.params, request.caller.identity
    name = params.to if params.instance_id is None else params.instance_id
    if name is None:
        raise Invalid("say who the message is for", field="to")
    if identity is not None and ":" not in name:
        name = f"{name}:{identity.project_id}"
    project_id = name.partition(":")[2]
    request.caller.require_project(project_id)
    try:
        return request.mission.reads.agent(name)
    except NotFound:
        known = ", ".join(agent.id for agent in request.mission.reads.agents(project_id))
        there = f"; in this project there are {known}" if known else ""
        raise NotFound(f"there is no agent {name!r}{there}", field="to") from None


async def _deliver(request: Request[MessageParams], agent: Agent, command: SendMessage) -> Message:
    """Commit the message, once, however often that takes."""
    key = request.key or f"{request.caller.name}/message {secrets.token_hex(16)}"
    keyed = attrs.evolve(request, key=key)
    async for offer in AsyncRetrying(
        retry=retry_if_exception_type((Deadline, Limited, Unavailable)),
        wait=wait_random_exponential(0.1, max=2.0),
        stop=stop_after_delay(DELIVER_WITHIN_S),
        sleep=trio.sleep,
        reraise=True,
    ):
        with offer:
            sent: Message = await keyed.commit(agent.project_id, command)
            return sent
    raise AssertionError  # it is tried until it is done, or raises


def _why_queued(mission: Mission, agent_id: str) -> str | None:
    agent = mission.reads.agent(agent_id)
    if mission.reads.project(agent.project_id).state is ProjectState.ARCHIVED:
        return f"project {agent.project_id!r} is archived"
    return f"agent {agent.id} is {agent.status.value}" if agent.status in HALTED else None
