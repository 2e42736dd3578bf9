"""The listener: JSON-RPC over WebSocket and POST, the plugin's bridge, and health, on one port."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import trio
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..actors import Lagged, Mission
from ..storage import Conflict, Forbidden, Invalid, MissionError, Unavailable
from ..supervisor import Actor, Context
from . import _rpc as rpc
from ._callers import Caller, Doorkeeper
from ._plugin_bridge import SUBPROTOCOL, BridgeRefused, PluginBridge, PluginLinks
from ._server import MAX_BODY_BYTES, TAKE_WITHIN_S, serve

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


class PortInUse(Conflict):
    """Something listens there already."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens, where clients wait until they are served; port 0: a free one.

    Raises:
        PortInUse: with what to do about it.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise PortInUse(
            f"cannot listen on {host}:{port} ({error.strerror}): stop what listens there, or"
            " choose another with --port (0 takes a free one)"
        ) from error
    bound.settimeout(0)
    return bound


class Listener(Actor[object]):
    """Serves until it is stopped.  The socket outlives it: a restart loses no waiting client."""

    ctx: Context[object]

    def __init__(
        self, mission: Mission, doorkeeper: Doorkeeper, links: PluginLinks, bound: socket.socket
    ) -> None:
        self._app = _Doors(mission, doorkeeper, links, bound.getsockname()[1]).app()
        self._bound = bound

    async def started(self) -> None:
        """Begin to serve."""
        self.ctx.start_soon(serve, self._app, self._bound)

    def receive(self, message: object) -> None:
        """There is nothing to tell a listener."""


class _Doors:
    """The routes."""

    def __init__(
        self, mission: Mission, doorkeeper: Doorkeeper, links: PluginLinks, port: int
    ) -> None:
        self._mission = mission
        self._doorkeeper = doorkeeper
        self._links = links
        self._hosts = {f"{name}:{port}" for name in LOOPBACK_NAMES}

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                WebSocketRoute("/rpc", self._talk),
                Route("/rpc", self._post, methods=["POST"]),
                WebSocketRoute("/bridge", self._bridge),
                Route("/healthz", self._alive),
                Route("/readyz", self._ready),
            ]
        )

    def _check_origin(self, connection: HTTPConnection) -> None:
        """Refuse a browser's page of another origin, and a name that was rebound to us."""
        host, origin = connection.headers.get("host"), connection.headers.get("origin")
        if host not in self._hosts:
            raise Forbidden(f"the Host header must be {min(self._hosts)}")
        if origin is not None and origin not in {f"http://{name}" for name in self._hosts}:
            raise Forbidden("pages of other origins may not call this")

    def _admit(self, connection: HTTPConnection) -> Caller:
        self._check_origin(connection)
        return self._doorkeeper.admit(connection.headers.get("authorization"))

    async def _alive(self, _: HttpRequest) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, _: HttpRequest) -> Response:
        reasons = [reason for reason in (self._mission.runner.away,) if reason is not None]
        status = 503 if reasons else 200
        return JSONResponse({"ready": not reasons, "reasons": reasons}, status_code=status)

    async def _post(self, request: HttpRequest) -> Response:
        try:
            caller = self._admit(request)
        except MissionError as refusal:
            return _refused(refusal)
        body = b""
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    return PlainTextResponse("the body is larger than 4 MiB\n", status_code=413)
        text = await rpc.answer_text(self._mission, caller, body)
        if text is None:
            return Response(status_code=204)
        return Response(text, media_type="application/json")

    async def _talk(self, websocket: WebSocket) -> None:
        try:
            caller = self._admit(websocket)
        except MissionError as refusal:
            await websocket.send_denial_response(_refused(refusal))
            return
        await websocket.accept()
        conversation = rpc.Conversation(self._mission, caller, _sender(websocket))
        lagged = False
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    await conversation.receive(await _receive(websocket), nursery)
        except* (Lagged, trio.TooSlowError):
            lagged = True
        except* WebSocketDisconnect:
            pass
        if lagged:
            await websocket.close(rpc.CODE_LAGGED, "too slow: resume from your last cursor")

    async def _bridge(self, websocket: WebSocket) -> None:
        try:
            self._check_origin(websocket)
            if SUBPROTOCOL not in websocket.scope["subprotocols"]:
                raise Invalid(f"the bridge speaks {SUBPROTOCOL} only: ask for it")
        except MissionError as refusal:
            await websocket.send_denial_response(_refused(refusal))
            return
        await websocket.accept(SUBPROTOCOL)
        bridge = PluginBridge(self._mission, self._doorkeeper, self._links)
        send = _sender(websocket)
        refused: BaseException | None = None
        try:
            await bridge.serve(lambda: _receive(websocket), send)
        except* BridgeRefused as refusals:
            refused = refusals.exceptions[0]
        except* (WebSocketDisconnect, trio.TooSlowError, Lagged, Unavailable):
            pass  # the plugin connects again by itself
        if refused is not None:
            code, reply = refused.args
            if reply is not None:
                await send(reply)
            await websocket.close(code)


async def _receive(websocket: WebSocket) -> str | bytes:
    """Return the next message; JSON may come in a frame for text or for bytes."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"])
    text: str | bytes | None = message.get("text")
    return message["bytes"] if text is None else text


def _sender(websocket: WebSocket) -> Callable[[str], Awaitable[None]]:
    # One text at a time; and a client that reads too slowly is not waited for.
    turn = trio.Lock()

    async def send(text: str) -> None:
        async with turn:
            with trio.fail_after(2 * TAKE_WITHIN_S):
                await websocket.send_text(text)

    return send


def _refused(refusal: MissionError) -> Response:
    body = {"jsonrpc": "2.0", "id": None, "error": refusal.to_wire()}
    return JSONResponse(body, status_code=refusal.http_status)
