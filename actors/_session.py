"""An agent's session: the one conversation in which its pulses run."""

from __future__ import annotations

from typing import TypeAlias

import attrs
import trio

from ..storage import OURSELVES, Agent, MissionError, Session, Unavailable
from ..storage.commands import RETIRED, ForgetSession, RecordSession, RetireSession
from ..supervisor import Actor, Context, Deferred
from ._mission import Mission
from ._runner import SessionOrder


def session_name(agent_id: str) -> str:
    """Under which an agent's session is registered."""
    return f"session/{agent_id}"


def session_key(project_id: str, soul: str, gateway_agent: str) -> str:
    """Return the stable key of a session; the Gateway keeps keys in lower case."""
    return f"agent:{gateway_agent}:mc:{project_id}:{soul}".lower()


def session_order(mission: Mission, agent: Agent) -> SessionOrder:
    """Say where the conversation of *agent* is kept, and works."""
    gateway_agent = agent.gateway_agent or mission.settings.gateway_agent
    return SessionOrder(
        agent_id=agent.id,
        session_key=session_key(agent.project_id, agent.soul, gateway_agent),
        cwd=mission.home.scope(agent.project_id).src,
    )


@attrs.frozen
class Ensure:
    """See that the session exists; answered with its record."""


@attrs.frozen
class Restart:
    """Begin the conversation afresh, under the same key; answered with its new record."""

    by: str
    key: str | None


@attrs.frozen
class End:
    """Remove the conversation; answered with its record as it was."""

    by: str
    key: str | None


Message: TypeAlias = Ensure | Restart | End


class SessionActor(Actor[Message]):
    """Opens the session before each pulse: the host may have lost it meanwhile.

    What is asked is done one after the other.  A conversation that is to be begun afresh is marked
    in the database first, so a crash in the middle is made up for by whoever opens it next.
    """

    ctx: Context[Message]

    def __init__(self, mission: Mission, agent_id: str) -> None:
        self._mission = mission
        self._agent_id = agent_id
        self._turn: trio.Lock | None = None
        """Made with the first message: most agents are idle, and a lock weighs 240 bytes."""

    def receive(self, message: Message) -> None:
        """Begin it, and answer when it is done."""
        if self._turn is None:
            self._turn = trio.Lock()
        self.ctx.start_soon(self._do, message, self.ctx.defer(), self._turn)

    async def _do(self, message: Message, reply: Deferred, turn: trio.Lock) -> None:
        try:
            async with turn:
                reply.answer(await self._answer(message))
        except MissionError as error:
            reply.fail(error)

    async def _answer(self, message: Message) -> Session:
        match message:
            case Ensure():
                return await self._open()
            case Restart(by, key):
                await self._retire(RetireSession(self._agent_id), by, key)
                return await self._open()
            case End(by, key):
                return await self._end(by, key)

    async def _open(self) -> Session:
        mission = self._mission
        order, runner = self._order(), mission.runner
        known = mission.reads.session(self._agent_id)
        if known is None:
            await self._clear(order)
        elif known.session_id == RETIRED:
            await runner.reset_session(order)
        session_id = await runner.open_session(order)
        found = (order.session_key, session_id, runner.name)
        if known is not None and (known.key, known.session_id, known.runner) == found:
            return known  # nearly every pulse finds it so, and is spared a commit
        return await mission.store.write(RecordSession(self._agent_id, *found), by=OURSELVES)

    async def _clear(self, order: SessionOrder) -> None:
        """Remove what an agent of this name, or another home of ours, left in the host."""
        runner = self._mission.runner
        if await runner.session_status(order) is not None:
            await runner.end_session(order)

    async def _retire(self, retire: RetireSession, by: str, key: str | None) -> Session:
        away = self._mission.runner.away
        if away is not None:
            raise Unavailable(away)
        return await self._mission.store.write(retire, by=by, key=key)

    async def _end(self, by: str, key: str | None) -> Session:
        mission = self._mission
        was = await self._retire(RetireSession(self._agent_id, forget=True), by, key)
        known = mission.reads.session(self._agent_id)
        if known is not None and known.session_id == RETIRED:
            await mission.runner.end_session(self._order())
            await mission.store.write(ForgetSession(self._agent_id), by=by)
        return was

    def _order(self) -> SessionOrder:
        return session_order(self._mission, self._mission.reads.agent(self._agent_id))
