"""Questions of agents, sent to a person through a channel of the Gateway."""

from __future__ import annotations

import logging
from collections.abc import Callable

import attrs
import trio
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from ..actors import FEED, Lagged, Mission, Subscribe
from ..storage import (
    OURSELVES,
    Deadline,
    HelpRequest,
    HelpState,
    Limited,
    MissionError,
    Unavailable,
)
from ..storage.commands import NoteTold
from ..supervisor import Actor, Context
from ._chat import code_of, in_markdown
from ._link import Gateway

log = logging.getLogger("mission_control.courier")

TRANSIENT = (Unavailable, Deadline, Limited)
LONGEST_WAIT_S = 30.0
"""Between two attempts at a Gateway that is away."""
MAX_ISSUE_CHARS = 2_000
"""Channels cut longer messages in pieces, or refuse them."""


@attrs.frozen
class Person:
    """Somebody whom the Gateway reaches."""

    channel: str
    """As the Gateway names it: `telegram`, `slack`, ..."""
    to: str
    """Whom that channel delivers to."""


class Courier(Actor[None]):
    """Sends each question once, however often we, or the Gateway, are started again.

    That it was sent is recorded after the Gateway has taken it.  Who is killed in between sends it
    again, under the same key: it arrives twice only where the Gateway died as well.
    """

    ctx: Context[None]

    def __init__(
        self, mission: Mission, gateway: Gateway, person: Person, answerable: Callable[[], bool]
    ) -> None:
        """*answerable* says whether the Gateway has our command, by which people answer."""
        self._mission = mission
        self._gateway = gateway
        self._person = person
        self._answerable = answerable

    async def started(self) -> None:
        """Begin with what was asked while nobody could be told."""
        self.ctx.start_soon(self._work)

    async def _work(self) -> None:
        while True:
            try:
                async with await self._mission.ask(FEED, Subscribe()) as changes:
                    await self._tell_all()
                    async for change in changes:
                        if change.kind == "help_requested":
                            await self._tell_all()
            except (Lagged, *TRANSIENT):
                await trio.sleep(1.0)  # the feed begins again; what is untold stands in the rows

    async def _tell_all(self) -> None:
        for request in self._mission.reads.untold_help():
            try:
                await self._tell(request.id)
            except TRANSIENT:
                raise
            except MissionError as refusal:
                log.warning(
                    "the question %s cannot be sent to %s through %s: %s",
                    request.id,
                    self._person.to,
                    self._person.channel,
                    refusal,
                )

    async def _tell(self, help_id: str) -> None:
        """Send a question, as soon as the Gateway can be reached, unless it is answered by then.

        Raises:
            MissionError: the Gateway will not send it, or storage is away.
        """
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(TRANSIENT),
            wait=wait_random_exponential(0.5, max=LONGEST_WAIT_S),
            sleep=trio.sleep,
            reraise=True,
        ):
            with attempt:
                request = self._mission.reads.help_request(help_id)
                if request.state is not HelpState.OPEN:
                    return
                await self._gateway.call("send", self._letter(request))
        await self._mission.store.write(NoteTold(help_id), by=OURSELVES)

    def _letter(self, request: HelpRequest) -> dict[str, str]:
        return {
            "channel": self._person.channel,
            "to": self._person.to,
            "message": letter(self._title(request), request, answerable=self._answerable()),
            "idempotencyKey": f"mission-control-help-{request.id}",
        }

    def _title(self, request: HelpRequest) -> str:
        task = self._mission.reads.find_task(request.task_id)
        return task.title if task is not None else "a task that was deleted"


def letter(title: str, request: HelpRequest, *, answerable: bool) -> str:
    """Return what a person is told of a question, and how it can be answered."""
    who = request.agent_id or f"Somebody in {request.project_id}"
    how = (
        f"/mission answer {code_of(request)} and then your answer"
        if answerable
        else f"mission-control help answer {request.id} 'your answer'"
    )
    issue = request.issue
    if len(issue) > MAX_ISSUE_CHARS:
        issue = f"{issue[:MAX_ISSUE_CHARS]} ..."
    return in_markdown(
        f"{who} asks about {title!r} ({request.urgency}):\n\n{issue}\n\nAnswer with: {how}"
    )
