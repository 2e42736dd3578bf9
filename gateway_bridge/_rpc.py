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

CODE_REVOKED = 4401
"""WebSocket close code: the token that opened it is no longer good."""

ENDING_WITHIN_S = 5.0
"""So long is waited for calls that run when a token ends; one of them may have ended it."""

SUBSCRIBE = "mission.subscribe"
SET_SCOPE = "mission.scope.set"
"""As `SUBSCRIBE`, in place of what the connection heard of before."""


@attrs.frozen
class SubscribeParams:
    """Parameters of `mission.subscribe` and `mission.scope.set`."""

    since: str | None = None
    project_id: str | None = None


async def answer(mission: Mission, caller: Caller, request: jsonrpc.Call) -> dict[str, Any]:
    """Make one call and return its answer, whatever happens."""
    if request.method in (SUBSCRIBE, SET_SCOPE):
        message = f"{request.method} needs a WebSocket, and there a message of its own"
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


@attrs.define
class _Hearing:
    """The changes that a client is told of, until it wants to hear of others instead."""

    subscription: Subscription
    _project_id: str | None
    _over: bool = False
    _wait: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    def end(self) -> None:
        """Give no further change; what is being sent is sent to its end."""
        self._over = True
        self._wait.cancel()

    def __aiter__(self) -> _Hearing:
        return self

    async def __anext__(self) -> Change:
        while not self._over:
            with trio.CancelScope() as self._wait:
                change = await anext(self.subscription)
                if self._wants(change):
                    return change
        raise StopAsyncIteration

    def _wants(self, change: Change) -> bool:
        theirs = self._project_id in (None, change.project_id)
        return not self._over and theirs and change.kind in PUBLISHED


class Conversation:
    """A connection that may subscribe.  Calls run side by side; answers come as they are ready."""

    def __init__(self, mission: Mission, caller: Caller, send: Send) -> None:
        self._mission = mission
        self._caller = caller
        self._send = send
        self._places = trio.Semaphore(MAX_CONCURRENT)
        self._hearings: list[_Hearing] = []

    async def hold(
        self, receive: Callable[[], Awaitable[str | bytes]], over: trio.Event | None
    ) -> None:
        """Answer what comes, until *receive* raises or *over* is set.

        Returns when what was asked before *over* is answered.  A client that floods is slowed:
        nothing is received while there is no room for it.
        """
        hearing = trio.CancelScope()
        async with trio.open_nursery() as nursery:
            if over is not None:
                nursery.start_soon(_cancel_when, over, hearing)
            with hearing:
                while True:
                    text = await receive()
                    await self._places.acquire()
                    nursery.start_soon(self._handle, text, nursery)
            self._hear_no_more()
            with trio.move_on_after(ENDING_WITHIN_S):
                for _ in range(MAX_CONCURRENT):
                    await self._places.acquire()
            nursery.cancel_scope.cancel()

    async def _handle(self, text: str | bytes, nursery: trio.Nursery) -> None:
        try:
            match jsonrpc.parse(text):
                case jsonrpc.Incoming(
                    (jsonrpc.Call(method="mission.subscribe" | "mission.scope.set") as request,),
                    False,
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
            self._caller.spend()
            params = structure(dict(request.params), SubscribeParams)
            project_id = self._visible(params.project_id)
            subscription, resync = await self._begin(params.since)
            epoch = self._mission.reads.epoch()
            if request.method == SET_SCOPE:
                self._hear_no_more()
            self._hearings.append(_Hearing(subscription, project_id))
            nursery.start_soon(self._tell, self._hearings[-1], epoch, answered)
            return {"cursor": str(Cursor(epoch, subscription.cursor)), "resync": resync}

        answered = trio.Event()
        reply = await settle(request, begin)
        if request.wants_answer:
            await self._send(jsonrpc.dump(reply))
        answered.set()

    def _hear_no_more(self) -> None:
        for hearing in self._hearings:
            hearing.end()
        self._hearings.clear()

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

    async def _tell(self, hearing: _Hearing, epoch: str, answered: trio.Event) -> None:
        async with hearing.subscription:
            await answered.wait()
            async for change in hearing:
                event = jsonrpc.notification(f"mission.{change.kind}", event_to_wire(change, epoch))
                await self._send(jsonrpc.dump(event))


async def _cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
