"""An agent's session: the one conversation in which its pulses run."""

from __future__ import annotations

import attrs

from ..storage import MissionError
from ..storage.commands import RecordSession
from ..supervisor import Actor, Context, Deferred
from ._mission import Mission
from ._runner import PulseOrder


def session_name(agent_id: str) -> str:
    """Under which an agent's session is registered."""
    return f"session/{agent_id}"


def session_key(project_id: str, soul: str, gateway_agent: str) -> str:
    """Return the stable key of a session; the Gateway keeps keys in lower case."""
    return f"agent:{gateway_agent}:mc:{project_id}:{soul}".lower()


@attrs.frozen
class Ensure:
    """See that the session of this order exists; answered with its id."""

    order: PulseOrder


class SessionActor(Actor[Ensure]):
    """Opens the session before each pulse: the Gateway may have lost it meanwhile."""

    ctx: Context[Ensure]

    def __init__(self, mission: Mission, agent_id: str) -> None:
        self._mission = mission
        self._agent_id = agent_id

    def receive(self, message: Ensure) -> None:
        """Open it, and answer when it is there."""
        self.ctx.start_soon(self._open, message.order, self.ctx.defer())

    async def _open(self, order: PulseOrder, reply: Deferred) -> None:
        runner = self._mission.runner
        try:
            session_id = await runner.open_session(order)
            record = RecordSession(self._agent_id, order.session_key, session_id, runner.name)
            await self._mission.store.write(record, by=self._agent_id)
        except MissionError as error:
            reply.fail(error)
        else:
            reply.answer(session_id)
