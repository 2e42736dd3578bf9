"""The sidecar's side of the plugin: operators' calls, agents' tools, status texts, events.

The plugin says who calls; it is believed because it has proved by the token that it is the
plugin.  What an agent is, is told by the session it runs in, never by what it says.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from importlib.metadata import version
from typing import Any

import attrs
import trio

from ..actors import FEED, AgentIdentity, Mission, Subscribe, brief
from ..storage import (
    Change,
    Forbidden,
    Invalid,
    Limited,
    MissionError,
    NotFound,
    Unauthenticated,
)
from . import _jsonrpc as jsonrpc
from . import _rpc as rpc
from ._callers import Access, Caller, of_agent, of_gateway_scopes
from ._chat import chatter, obey
from ._doorkeeper import Admission, Doorkeeper
from ._table import METHODS, call
from ._tool_check import ToolCall, ToolCheck
from ._tools import TOOLS
from ._visits import Visit
from ._wire import PUBLISHED, event_to_wire

PROTOCOL = 1
SUBPROTOCOL = "mission-bridge.v1"
HELLO_WITHIN_S = 10.0
SILENT_AFTER_S = 15.0
"""The plugin pings every 5 s; one that is silent for three of these has gone."""
MISFIT_COUNTS_S = 60.0
"""How long a plugin that was turned away, and did not come again, is thought to be there."""

CODE_BAD_TOKEN = 4401
CODE_BAD_PROTOCOL = 4400
CODE_LATER = 1013
"""Too much at once, or a token that was replaced: the plugin reads it again and comes back."""
CALL_BYTES = 64 * 1024
"""What a message under way is counted as, beside its own length: its answer takes room as well."""
MOST_UNDER_WAY = 512 * CALL_BYTES
"""Of one plugin; then no more is read.  Ours has half as many calls under way at most."""
MOST_TOLD = 256
"""Agents whose status text is remembered; many more than run at once."""
MAX_RECORD_CHARS = 16_000
"""The Gateway bounds what an event may hold; a larger record is left out, to be read again."""


@attrs.define
class PluginLinks:
    """Which plugins are connected now."""

    on_connect: Callable[[], None] = lambda: None
    connected: int = 0
    with_hooks: int = 0
    _now: Callable[[], float] = time.monotonic
    """In seconds.  Not trio's clock: readers in worker threads ask as well."""
    _misfit: str = attrs.field(default="", init=False)
    _misfit_until: float = attrs.field(default=-math.inf, init=False)

    def note_misfit(self, why: str) -> None:
        """A plugin of another release was turned away; it comes again every 10 s."""
        self._misfit, self._misfit_until = why, self._now() + MISFIT_COUNTS_S

    def hindrance(self) -> str | None:
        """Why turns in the Gateway would have no tools of ours, where only a person can help."""
        turned_away = not self.connected and self._now() < self._misfit_until
        return self._misfit if turned_away else None

    def any_connected(self) -> bool:
        """Whether people can answer by our command in a chat."""
        return self.connected > 0

    @property
    def injects_prompt(self) -> bool:
        """Whether status texts reach agents through the plugin's hook."""
        return self.with_hooks > 0


class BridgeRefused(Exception):
    """The plugin did not get in; `args` are the close code and the answer."""


class PluginBridge:
    """One connection of a plugin."""

    def __init__(
        self, mission: Mission, doorkeeper: Doorkeeper, links: PluginLinks, visit: Visit
    ) -> None:
        self._mission = mission
        self._doorkeeper = doorkeeper
        self._links = links
        self._visit = visit
        self._tool_check = ToolCheck(mission)
        self._heard_at = -math.inf
        """By trio's clock."""
        self._under_way = 0
        """In bytes.  Nobody listens while it is `MOST_UNDER_WAY` or more."""
        self._rest: trio.Event | None = None
        """Of the task that listens next; None where none rests."""
        self._told: dict[str, tuple[str, str]] = {}
        """By agent: the pulse that was told last, and what."""

    async def serve(
        self,
        receive: Callable[[], Awaitable[str | bytes]],
        send: Callable[[str], Awaitable[None]],
    ) -> None:
        """Talk to a plugin until it goes, is silent for too long, or is refused.

        Raises:
            BridgeRefused: its first message was no good hello, there are too many connections, or
                its token was replaced.
            trio.TooSlowError: it was silent.
        """
        with trio.fail_after(HELLO_WITHIN_S):
            hello = await receive()
        self._heard_at = trio.current_time()
        request, admission = self._greet(hello)
        with self._seat(request, admission), self._visit.known():
            result = {"protocol": PROTOCOL, "version": version("openclaw-mission-control")}
            await send(jsonrpc.dump(jsonrpc.success(request.id, result)))
            hooks = request.params.get("hooks") is True
            await self._talk(admission, receive, send, hooks=hooks)

    def _seat(self, hello: jsonrpc.Call, admission: Admission) -> ExitStack:
        seat = ExitStack()
        try:
            seat.enter_context(self._doorkeeper.seat(admission.caller))
        except Limited as limited:
            raise BridgeRefused(CODE_LATER, _failed(hello.id, limited)) from None
        return seat

    async def _talk(
        self,
        admission: Admission,
        receive: Callable[[], Awaitable[str | bytes]],
        send: Callable[[str], Awaitable[None]],
        *,
        hooks: bool,
    ) -> None:
        self._links.connected += 1
        self._links.with_hooks += hooks
        self._links.on_connect()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._tell_events, send)
                nursery.start_soon(_end_with, admission)
                nursery.start_soon(self._end_in_silence)
                nursery.start_soon(self._attend, nursery, receive, send)
        finally:
            self._links.connected -= 1
            self._links.with_hooks -= hooks

    async def _attend(
        self,
        nursery: trio.Nursery,
        receive: Callable[[], Awaitable[str | bytes]],
        send: Callable[[str], Awaitable[None]],
    ) -> None:
        """Take messages and answer them; while this task answers, another one listens.

        One that has rested is there at once, where it would take time to start one for each call.
        """
        while True:
            text = await receive()
            self._heard_at = trio.current_time()
            size = CALL_BYTES + len(text)
            self._under_way += size
            if self._under_way >= MOST_UNDER_WAY:
                pass  # whoever makes room will listen
            elif self._rest is None:
                nursery.start_soon(self._attend, nursery, receive, send)
            else:
                self._rest.set()
                self._rest = None
            await self._handle(text, send)
            self._under_way -= size
            if self._under_way < MOST_UNDER_WAY <= self._under_way + size:
                continue  # nobody listens
            if self._rest is not None:
                return  # one is enough
            self._rest = rest = trio.Event()
            await rest.wait()

    async def _end_in_silence(self) -> None:
        """Raise TooSlowError when it is time: one deadline, which is moved, for all messages."""
        while True:
            heard_at = self._heard_at
            await trio.sleep_until(heard_at + SILENT_AFTER_S)
            if heard_at == self._heard_at:
                raise trio.TooSlowError

    def _greet(self, text: str | bytes) -> tuple[jsonrpc.Call, Admission]:
        (item,) = jsonrpc.parse(text).items[:1]
        if not isinstance(item, jsonrpc.Call) or item.method != "bridge.hello":
            raise BridgeRefused(CODE_BAD_PROTOCOL, None)
        admission = self._admit(item)
        if item.params.get("protocol") != PROTOCOL:
            ours = version("openclaw-mission-control")
            foreign = Invalid(
                f"this sidecar ({ours}) speaks bridge protocol {PROTOCOL}, the plugin"
                f" {item.params.get('protocol')}: run mission-control install-plugin again"
            )
            self._links.note_misfit(foreign.message)
            raise BridgeRefused(CODE_BAD_PROTOCOL, _failed(item.id, foreign))
        return item, admission

    def _admit(self, hello: jsonrpc.Call) -> Admission:
        """Let the plugin in by a token that may do everything: it speaks for whoever asks it."""
        token = str(hello.params.get("token", ""))
        try:
            admission = self._doorkeeper.recognise(token, self._visit.peer)
            admission.caller.require(Access.ADMIN)
        except Limited as limited:
            raise BridgeRefused(CODE_LATER, _failed(hello.id, limited)) from None
        except MissionError:
            wrong = Unauthenticated("wrong token: check tokenFile in the plugin's configuration")
            raise BridgeRefused(CODE_BAD_TOKEN, _failed(hello.id, wrong)) from None
        return admission

    async def _handle(self, text: str | bytes, send: Callable[[str], Awaitable[None]]) -> None:
        for item in jsonrpc.parse(text).items:
            if isinstance(item, jsonrpc.Malformed):
                await send(jsonrpc.dump(item.answer))
            elif item.wants_answer:
                await send(jsonrpc.dump(await self._answer(item)))

    async def _answer(self, request: jsonrpc.Call) -> dict[str, Any]:
        match request.method:
            case "bridge.ping":
                return jsonrpc.success(request.id, {})
            case "pulse.get":
                return await rpc.settle(request, lambda: self._status_text(request.params))
            case "tool.check":
                return await rpc.settle(request, lambda: self._check(request.params))
            case "tool.call":
                return await rpc.settle(request, lambda: self._tool(request.params))
            case "command.run":
                return await rpc.settle(request, lambda: self._command(request.params))
            case _:
                return await self._operator_call(request)

    async def _command(self, params: dict[str, Any]) -> dict[str, Any]:
        person = chatter(_member(params, "caller"))
        return {"text": await obey(self._mission, person, str(params.get("text") or ""))}

    async def _operator_call(self, request: jsonrpc.Call) -> dict[str, Any]:
        try:
            caller, params = _member(request.params, "caller"), _member(request.params, "params")
            scopes = caller.get("scopes")
            name = f"gateway:{caller.get('clientId') or 'operator'}"
            known = of_gateway_scopes(name, scopes if isinstance(scopes, list) else [])
            operator = self._doorkeeper.counted(known)
        except MissionError as refusal:
            return {"jsonrpc": "2.0", "id": request.id, "error": refusal.to_wire()}
        if request.method in METHODS and METHODS[request.method].secret:
            message = f"{request.method} is not offered through the Gateway"
            return jsonrpc.failure(request.id, jsonrpc.METHOD_NOT_FOUND, message)
        inner = jsonrpc.Call(request.method, params, request.id)
        return await rpc.answer(self._mission, operator, inner)

    async def _tool(self, params: dict[str, Any]) -> dict[str, Any]:
        tool = TOOLS.get(str(params.get("tool")))
        if tool is None:
            raise NotFound(f"there is no tool {params.get('tool')!r}")
        agent = self._agent(_member(params, "caller"))
        method, args = tool.translate(_member(params, "args"))
        result = await call(self._mission, agent, method, args)
        return {"text": json.dumps(result, ensure_ascii=False), "details": result}

    async def _check(self, params: dict[str, Any]) -> dict[str, Any]:
        agent = self._mission.reads.agent(self._agent_id(params))
        given = _member(params, "params")
        tool_call = ToolCall(str(params.get("tool")), given, params.get("derivedPaths"))
        return await self._tool_check.check(agent, tool_call)

    def _agent_id(self, caller: dict[str, Any]) -> str:
        agent_id = self._mission.reads.agent_of_session(_session_key(caller))
        if agent_id is None:
            raise Forbidden(
                "this conversation is not a Mission Control session: only agents at work in a"
                " project may use this tool"
            )
        return agent_id

    def _agent(self, caller: dict[str, Any]) -> Caller:
        agent_id, run_id = self._agent_id(caller), caller.get("runId")
        identity = self._mission.tokens.of_agent(agent_id)
        if identity is not None and run_id in (None, identity.pulse_id):
            return self._doorkeeper.counted(of_agent(identity))
        # A person talks with the agent, or a turn outlived its pulse: it may look, not touch.
        agent = self._mission.reads.agent(agent_id)
        identity = AgentIdentity(agent_id, agent.project_id, "", agent.current_task_id)
        return self._doorkeeper.counted(attrs.evolve(of_agent(identity), access=Access.READ))

    async def _status_text(self, params: dict[str, Any]) -> dict[str, Any]:
        agent_id = self._mission.reads.agent_of_session(_session_key(params))
        pulse = self._mission.reads.open_pulse(agent_id) if agent_id is not None else None
        if agent_id is None or pulse is None:
            return {"text": None}
        told = self._told.get(agent_id)
        if told is None or told[0] != pulse.id:
            agent = self._mission.reads.agent(agent_id)
            # Once a pulse: a soul that is upgraded in the middle counts from the next one on.
            told = pulse.id, brief(self._mission, agent, pulse).status_text
            self._told[agent_id] = told
            while len(self._told) > MOST_TOLD:
                del self._told[next(iter(self._told))]
        return {"text": told[1]}

    async def _tell_events(self, send: Callable[[str], Awaitable[None]]) -> None:
        subscription = await self._mission.ask(FEED, Subscribe())
        epoch = self._mission.reads.epoch()
        async with subscription:
            async for change in subscription:
                if change.kind in PUBLISHED:
                    await send(jsonrpc.dump(_event(change, epoch)))


async def _end_with(admission: Admission) -> None:
    if admission.over is not None:
        await admission.over.wait()
        raise BridgeRefused(CODE_LATER, None)


def _session_key(params: dict[str, Any]) -> str:
    """Return the key that is told; half of a surrogate pair, which none of ours holds, as `?`."""
    return str(params.get("sessionKey", "")).encode("utf-8", "replace").decode()


def _member(params: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a member that is an object; an empty one where there is none."""
    value = params.get(name)
    if not isinstance(value, dict | None):
        raise Invalid(f"{name} must be an object", field=name)
    return dict(value or {})


def _event(change: Change, epoch: str) -> dict[str, Any]:
    payload = event_to_wire(change, epoch)
    if change.after is not None and len(change.after) > MAX_RECORD_CHARS:
        payload["record"] = None
    return jsonrpc.notification(
        "event", {"event": change.kind, "payload": payload, "scope": "operator.read"}
    )


def _failed(id_: jsonrpc.Id, error: MissionError) -> str:
    return jsonrpc.dump({"jsonrpc": "2.0", "id": id_, "error": error.to_wire()})
