"""Children that are taken out of a dynamic supervisor, which may take all their time to end."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

from ..supervisor import ChildNotFound
from ._mission import Mission


class Departures:
    """Knows who is on the way out, so that whoever compares children with rows leaves them alone.

    Its owner departs children in tasks, and answers others meanwhile.
    """

    def __init__(self, mission: Mission, supervisor: str) -> None:
        self._mission = mission
        self._supervisor = supervisor
        self._times: Counter[str] = Counter()
        """Several may want the same child out."""

    def __contains__(self, child_id: str) -> bool:
        return child_id in self._times

    @asynccontextmanager
    async def of(self, child_id: str) -> AsyncIterator[None]:
        """Stop a child, if it runs; in the block nothing of it does.

        Raises:
            Unavailable: the supervisor is being started.
        """
        self._times[child_id] += 1
        try:
            supervisor: Any = self._mission.find(self._supervisor)
            with suppress(ChildNotFound):
                await supervisor.terminate_child(child_id)
            yield
        finally:
            self._times[child_id] -= 1
            if not self._times[child_id]:
                del self._times[child_id]

    async def await_others(self, child_ids: Iterable[str]) -> None:
        """Return when of these nobody is on the way out whom another than we has sent there.

        As a predecessor of the owner may have, who was killed before it could say what for.

        Raises:
            Unavailable: the supervisor is being started.
        """
        supervisor: Any = self._mission.find(self._supervisor)
        for child_id in child_ids:
            if child_id not in self:
                with suppress(ChildNotFound):
                    await supervisor.get_spec(child_id)  # answered when it has left
