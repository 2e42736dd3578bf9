"""One JSON-RPC conversation: calls in, answers and events out, over whatever carries text."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import attrs
import trio

from ..actors import FEED, Mission, PlaceGone, Subscribe, Subscription
from ..storage import Change, Internal, MissionError
from ..storage.history import Cursor
from . import _jsonrpc as jsonrpc
from ._callers import Caller
from ._params import structure
from ._table import METHODS, call, require_present
from ._wire import PUBLISHED, event_to_wire

log = logging.getLogger("mission_control.rpc")

Send = Callable[[str], Awaitable[None]]

MAX_CONCURRENT = 64
"""Calls of one connection that run at once; further ones wait."""

CODE_LAGGED = 4408
"""WebSocket close code: the client was too slow; it resumes from its last cursor."""

SUBSCRIBE = "mission.subscribe"


@attrs.frozen
class SubscribeParams:
    """Parameters of `mission.subscribe`."""

    since: str | None = None
    project_id: str | None = None


async def answer(mission: Mission, caller: Caller, request: jsonrpc.Call) -> dict[str, Any]:
    """Make one call and return its answer, whatever happens."""
    if request.method == SUBSCRIBE:
        message = f"{SUBSCRIBE} needs a WebSocket, and there a message of its own"
        return jsonrpc.failure(request.id, jsonrpc.INVALID_REQUEST, message)
    if request.method not in METHODS:
        message = f"there is no method {request.method!r}"
        return jsonrpc.failure(request.id, jsonrpc.METHOD_NOT_FOUND, message)
    return await settle(
        request, lambda: call(mission, caller, request.method, dict(request.params))
    )


async def settle(request: jsonrpc.Call, make: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
    """Return the answer to *request* that *make* comes to, whatever happens.

    A bug of ours is logged under an id that the answer carries; it never ends the conversation.
    """
    try:
        return jsonrpc.success(request.id, await make())
    except MissionError as refusal:
        return {"jsonrpc": "2.0", "id": request.id, "error": refusal.to_wire()}
    except Exception:  # a client must get an answer, and its neighbours must not notice
        incident = secrets.token_hex(4)
        log.exception("incident %s: %s failed", incident, request.method)
        error = Internal(f"a bug of ours; the log has it as incident {incident}", incident=incident)
        return {"jsonrpc": "2.0", "id": request.id, "error": error.to_wire()}


async def answer_text(mission: Mission, caller: Caller, text: str | bytes) -> str | None:
    """Answer one text, one call after the other; None where nothing wants an answer."""
    return await _answer_all(mission, caller, jsonrpc.parse(text))


async def _answer_all(mission: Mission, caller: Caller, incoming: jsonrpc.Incoming) -> str | None:
    answers = []
    for item in incoming.items:
        if isinstance(item, jsonrpc.Malformed):
            answers.append(item.answer)
            continue
        reply = await answer(mission, caller, item)
        if item.wants_answer:
            answers.append(reply)
    if not answers:
        return None
    return jsonrpc.dump(answers if incoming.batch else answers[0])


class Conversation:
    """A connection that may subscribe.  Calls run side by side; answers come as they are ready."""

    def __init__(self, mission: Mission, caller: Caller, send: Send) -> None:
        self._mission = mission
        self._caller = caller
        self._send = send
        self._places = trio.Semaphore(MAX_CONCURRENT)

    async def receive(self, text: str | bytes, nursery: trio.Nursery) -> None:
        """Take one text; its answer is sent from a task in *nursery*.

        Returns when there is room for another, so a client that floods is slowed.
        """
        await self._places.acquire()
        nursery.start_soon(self._handle, text, nursery)

    async def _handle(self, text: str | bytes, nursery: trio.Nursery) -> None:
        try:
            match jsonrpc.parse(text):
                case jsonrpc.Incoming(
                    (jsonrpc.Call(method="mission.subscribe") as request,), False
                ):
                    await self._subscribe(request, nursery)
                case incoming:
                    reply = await _answer_all(self._mission, self._caller, incoming)
                    if reply is not None:
                        await self._send(reply)
        finally:
            self._places.release()

    async def _subscribe(self, request: jsonrpc.Call, nursery: trio.Nursery) -> None:
        async def begin() -> dict[str, Any]:
            require_present(self._mission, self._caller)
            params = structure(dict(request.params), SubscribeParams)
            project_id = self._visible(params.project_id)
            subscription, resync = await self._begin(params.since)
            epoch = self._mission.reads.epoch()
            nursery.start_soon(self._tell, subscription, project_id, epoch, answered)
            return {"cursor": str(Cursor(epoch, subscription.cursor)), "resync": resync}

        answered = trio.Event()
        reply = await settle(request, begin)
        if request.wants_answer:
            await self._send(jsonrpc.dump(reply))
        answered.set()

    def _visible(self, project_id: str | None) -> str | None:
        if self._caller.identity is not None:
            project_id = project_id or self._caller.identity.project_id
        if project_id is not None:
            self._caller.require_project(project_id)
            self._mission.reads.project(project_id)
        return project_id

    async def _begin(self, since: str | None) -> tuple[Subscription, bool]:
        """Return a subscription, and whether it cannot go on from where the client was."""
        place = None if since is None else Cursor.parse(since, field="since")
        if place is not None and place.epoch == self._mission.reads.epoch():
            with suppress(PlaceGone):
                return await self._mission.ask(FEED, Subscribe(place.seq)), False
        return await self._mission.ask(FEED, Subscribe()), place is not None

    async def _tell(
        self, subscription: Subscription, project_id: str | None, epoch: str, answered: trio.Event
    ) -> None:
        async with subscription:
            await answered.wait()
            async for change in subscription:
                if self._concerns(change, project_id):
                    event = jsonrpc.notification(
                        f"mission.{change.kind}", event_to_wire(change, epoch)
                    )
                    await self._send(jsonrpc.dump(event))

    @staticmethod
    def _concerns(change: Change, project_id: str | None) -> bool:
        return change.kind in PUBLISHED and project_id in (None, change.project_id)
