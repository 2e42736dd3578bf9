"""The routes: JSON-RPC over WebSocket and POST, and health."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import trio
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..actors import Lagged, Mission
from ..storage import Deadline, Invalid, MissionError
from . import _rpc as rpc
from ._doorkeeper import Admission, Doorkeeper
from ._limits import Limits
from ._origin import OriginRules
from ._server import TAKE_WITHIN_S
from ._visits import Visit


class BodyTooLong(Invalid):
    """The request holds more than it may."""

    http_status = 413


class BodyTooSlow(Deadline):
    """The request did not come to its end in time."""

    http_status = 408


class OriginGate:
    """Lets through to *app* what may be asked at all."""

    def __init__(self, app: ASGIApp, rules: OriginRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or refuse it."""
        connection = HTTPConnection(scope)
        rule = self._rules.of(_visit(connection).peer)
        try:
            rule.check(connection.headers, scope["query_string"])
        except MissionError as refusal:
            await _refuse(refusal, scope, receive, send)
            return
        await self._app(scope, receive, send)


class Doors:
    """What is behind each route."""

    def __init__(self, mission: Mission, doorkeeper: Doorkeeper, limits: Limits) -> None:
        self._mission = mission
        self._doorkeeper = doorkeeper
        self._limits = limits

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                WebSocketRoute("/rpc", self._talk),
                Route("/rpc", self._post, methods=["POST"]),
                Route("/healthz", self._alive),
                Route("/readyz", self._ready),
            ]
        )

    def _admit(self, connection: HTTPConnection) -> Admission:
        authorization = connection.headers.getlist("authorization")
        return self._doorkeeper.admit(authorization, _visit(connection).peer)

    async def _alive(self, _: HttpRequest) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, _: HttpRequest) -> Response:
        reasons = [reason for reason in (self._mission.runner.away,) if reason is not None]
        status = 503 if reasons else 200
        return JSONResponse({"ready": not reasons, "reasons": reasons}, status_code=status)

    async def _post(self, request: HttpRequest) -> Response:
        try:
            caller = self._admit(request).caller
            with self._doorkeeper.seat(caller), _visit(request).known():
                body = await self._body(request)
                text = await rpc.answer_text(self._mission, caller, body)
        except MissionError as refusal:
            return response_to(refusal)
        if text is None:
            return Response(status_code=204)
        return Response(text, media_type="application/json")

    async def _body(self, request: HttpRequest) -> bytes:
        body = bytearray()
        try:
            with trio.fail_after(self._limits.body_within_s):
                async with aclosing(request.stream()) as chunks:
                    async for chunk in chunks:
                        body += chunk
                        if len(body) > self._limits.message_bytes:
                            raise BodyTooLong(
                                f"the body is longer than {self._limits.message_bytes} bytes"
                            )
        except trio.TooSlowError:
            within_s = self._limits.body_within_s
            raise BodyTooSlow(f"the body did not come within {within_s:g} s") from None
        return bytes(body)

    async def _talk(self, websocket: WebSocket) -> None:
        try:
            admission = self._admit(websocket)
            with self._doorkeeper.seat(admission.caller), _visit(websocket).known():
                await websocket.accept()
                await self._converse(websocket, admission)
        except MissionError as refusal:
            await websocket.send_denial_response(response_to(refusal))

    async def _converse(self, websocket: WebSocket, admission: Admission) -> None:
        conversation = rpc.Conversation(self._mission, admission.caller, _sender(websocket))
        ended: tuple[int, str] | None = None
        try:
            await conversation.hold(lambda: _receive(websocket), admission.over)
            ended = rpc.CODE_REVOKED, "the token was revoked or replaced"
        except* (Lagged, trio.TooSlowError):
            ended = rpc.CODE_LAGGED, "too slow: resume from your last cursor"
        except* WebSocketDisconnect:
            pass
        if ended is not None:
            await websocket.close(*ended)


def _visit(connection: HTTPConnection) -> Visit:
    visit: Visit = connection.scope["state"]["visit"]
    return visit


async def _receive(websocket: WebSocket) -> str | bytes:
    """Return the next message; JSON may come in a frame for text or for bytes."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"])
    text: str | bytes | None = message.get("text")
    return message["bytes"] if text is None else text


def _sender(websocket: WebSocket) -> Callable[[str], Awaitable[None]]:
    async def send(text: str) -> None:
        # A client that reads too slowly is not waited for.
        with trio.fail_after(2 * TAKE_WITHIN_S):
            await websocket.send_text(text)

    return send


def response_to(refusal: MissionError) -> Response:
    """Return the answer to a request that is refused."""
    body = {"jsonrpc": "2.0", "id": None, "error": refusal.to_wire()}
    headers = {}
    if refusal.retry_after_ms is not None:
        headers["retry-after"] = str(math.ceil(refusal.retry_after_ms / 1000))
    return JSONResponse(body, status_code=refusal.http_status, headers=headers)


async def _refuse(refusal: MissionError, scope: Scope, receive: Receive, send: Send) -> None:
    response = response_to(refusal)
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)
