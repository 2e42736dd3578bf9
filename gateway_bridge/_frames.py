"""The OpenClaw Gateway's wire protocol, version 4, without any IO: text in, news out.

What may be said when is all in TRANSITIONS.  We are strict in what we say, and tolerant of what
we hear: whatever the Gateway sends, :meth:`Conversation.receive` answers with news and never
raises.  Observed on OpenClaw 2026.9.6.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any, TypeAlias

import attrs

from ..storage import Internal

PROTOCOL = 4
SCOPES = ("operator.read", "operator.write", "operator.admin")
TICK_INTERVAL_S = 30.0
"""What the Gateway uses where its greeting does not say."""
MAX_COUNT = 2**53 - 1
"""The largest number that JavaScript counts to."""
SHOWN_CHARS = 80
"""How much of a frame that we cannot read goes into the log."""


@attrs.frozen
class WireError:
    """The `error` member of a response.  Messages change; codes are what to branch on."""

    code: str
    message: str
    details: Mapping[str, Any] = attrs.field(factory=dict)
    retryable: bool = False
    retry_after_ms: int | None = None

    @property
    def detail_code(self) -> str:
        """The finer code, or an empty string."""
        return _text(self.details, "code")


@attrs.frozen
class Challenged:
    """The Gateway waits for our `connect`; a device signs what it gave."""

    nonce: str = ""
    at_ms: int = 0


@attrs.frozen
class Greeted:
    """The Gateway took us in (`hello-ok`)."""

    boot_id: str
    """Changes with every start of the Gateway: what it kept in memory is gone."""
    version: str = ""
    scopes: tuple[str, ...] = ()
    tick_interval_s: float = TICK_INTERVAL_S
    """How often it says something at least."""
    clock_ms: int = 0
    """Its time of day when it challenged us."""


@attrs.frozen
class Turned:
    """The Gateway turned us away; it closes the connection now."""

    error: WireError


@attrs.frozen
class Answer:
    """The Gateway did what request *id* asked, or has taken it on."""

    id: str
    payload: Mapping[str, Any]


@attrs.frozen
class Failure:
    """The Gateway did not do what request *id* asked."""

    id: str
    error: WireError


@attrs.frozen
class Settled:
    """The second answer to a request that was only taken on: how run *run_id* ended."""

    run_id: str
    payload: Mapping[str, Any]
    error: WireError | None = None


@attrs.frozen
class Event:
    """Something the Gateway tells all of its clients."""

    name: str
    payload: Mapping[str, Any]
    missed: int = 0
    """How many events before this one never reached us."""


@attrs.frozen
class Ignored:
    """A frame that we do not understand, or that came when it means nothing."""

    why: str


News: TypeAlias = Challenged | Greeted | Turned | Answer | Failure | Settled | Event | Ignored
"""All that :meth:`Conversation.receive` can say."""


class State(Enum):
    """How far the conversation has come."""

    NEW = auto()
    CHALLENGED = auto()
    GREETING = auto()
    OPEN = auto()
    REFUSED = auto()


class Said(Enum):
    """What a frame means for the conversation; the first two are ours."""

    CONNECT = auto()
    REQUEST = auto()
    CHALLENGE = auto()
    HELLO = auto()
    REFUSAL = auto()
    RESPONSE = auto()
    EVENT = auto()


TRANSITIONS: dict[State, dict[Said, State]] = {
    State.NEW: {Said.CHALLENGE: State.CHALLENGED},
    State.CHALLENGED: {Said.CONNECT: State.GREETING},
    State.GREETING: {Said.HELLO: State.OPEN, Said.REFUSAL: State.REFUSED},
    State.OPEN: {
        Said.REQUEST: State.OPEN,
        Said.RESPONSE: State.OPEN,
        Said.EVENT: State.OPEN,
    },
    State.REFUSED: {},
}


@attrs.define
class Conversation:
    """Our side of one connection: numbers requests, and knows what each response answers."""

    state: State = attrs.field(default=State.NEW, init=False)
    _clock_ms: int = attrs.field(default=0, init=False)
    _last_id: int = attrs.field(default=0, init=False)
    _last_seq: int | None = attrs.field(default=None, init=False)
    _asked: set[str] = attrs.field(factory=set, init=False)
    _taken_on: dict[str, str] = attrs.field(factory=dict, init=False)
    """Requests that were answered once, and the runs whose ends will answer them again."""

    def connect(
        self,
        token: str,
        *,
        version: str,
        prove: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
    ) -> str:
        """Return the text that answers the challenge.

        The pair `gateway-client`/`backend` is the one that keeps its scopes without a device
        identity on loopback.

        Args:
            token: what `gateway.auth.token` says.
            version: of this program.
            prove: makes the `device` member for the other params, where a device is shown.
        """
        params: dict[str, Any] = {
            "minProtocol": PROTOCOL,
            "maxProtocol": PROTOCOL,
            "client": {
                "id": "gateway-client",
                "version": version,
                "platform": "linux",
                "mode": "backend",
            },
            "role": "operator",
            "scopes": list(SCOPES),
            "caps": ["tool-events"],
            "auth": {"token": token},
        }
        if prove is not None:
            params["device"] = prove(params)
        return self._say(Said.CONNECT, "0", "connect", params)

    def request(self, method: str, params: Mapping[str, Any]) -> tuple[str, str]:
        """Return the id of a new request, and the text that makes it."""
        self._last_id += 1
        id_ = str(self._last_id)
        text = self._say(Said.REQUEST, id_, method, params)
        self._asked.add(id_)
        return id_, text

    def receive(self, text: str | bytes) -> News:
        """Return what *text* means."""
        frame = _parse(text)
        match frame.get("type"):
            case "event":
                return self._hear_event(frame)
            case "res" if self.state is State.GREETING:
                return self._hear_greeting(frame)
            case "res" if self._moves(Said.RESPONSE):
                return self._hear_response(frame)
            case _:
                return Ignored(f"in state {self.state.name}: {_shown(text)}")

    def _say(self, said: Said, id_: str, method: str, params: Mapping[str, Any]) -> str:
        if not self._moves(said):
            raise Internal(f"{method} may not be said in state {self.state.name}")
        return json.dumps({"type": "req", "id": id_, "method": method, "params": params})

    def _moves(self, said: Said) -> bool:
        """Go where *said* leads, if it leads anywhere."""
        following = TRANSITIONS[self.state].get(said)
        self.state = following or self.state
        return following is not None

    def _hear_event(self, frame: Mapping[str, Any]) -> News:
        name = _text(frame, "event")
        if name == "connect.challenge" and self._moves(Said.CHALLENGE):
            challenge = _mapping(frame, "payload")
            self._clock_ms = _count(challenge, "ts") or 0
            return Challenged(_text(challenge, "nonce"), self._clock_ms)
        if not self._moves(Said.EVENT):
            return Ignored(f"event {name} in state {self.state.name}")
        return Event(name, _mapping(frame, "payload"), self._missed(_count(frame, "seq")))

    def _hear_greeting(self, frame: Mapping[str, Any]) -> News:
        payload = _mapping(frame, "payload")
        if frame.get("ok") is True and payload.get("type") == "hello-ok":
            self._moves(Said.HELLO)
            return _greeting(payload, self._clock_ms)
        self._moves(Said.REFUSAL)
        return Turned(_error(frame))

    def _hear_response(self, frame: Mapping[str, Any]) -> News:
        id_, payload = _text(frame, "id"), _mapping(frame, "payload")
        error = None if frame.get("ok") is True else _error(frame)
        if id_ in self._taken_on:
            return Settled(self._taken_on.pop(id_), payload, error)
        if id_ not in self._asked:
            return Ignored(f"a response to {_shown(id_)}, which we did not ask")
        self._asked.remove(id_)
        if error:
            return Failure(id_, error)
        if payload.get("status") == "accepted":
            self._taken_on[id_] = _text(payload, "runId")
        return Answer(id_, payload)

    def _missed(self, seq: int | None) -> int:
        """Targeted events have no number; a number that runs backwards starts a new count."""
        if seq is None:
            return 0
        before, self._last_seq = self._last_seq, seq
        return 0 if before is None else max(0, seq - before - 1)


def _parse(text: str | bytes) -> Mapping[str, Any]:
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return frame if isinstance(frame, dict) else {}


def _error(frame: Mapping[str, Any]) -> WireError:
    error = _mapping(frame, "error")
    return WireError(
        code=_text(error, "code") or "UNKNOWN",
        message=_text(error, "message") or "it gave no reason",
        details=_mapping(error, "details"),
        retryable=error.get("retryable") is True,
        retry_after_ms=_count(error, "retryAfterMs"),
    )


def _greeting(payload: Mapping[str, Any], clock_ms: int) -> Greeted:
    server, policy = _mapping(payload, "server"), _mapping(payload, "policy")
    scopes = _mapping(payload, "auth").get("scopes")
    tick_ms = _count(policy, "tickIntervalMs")
    return Greeted(
        boot_id=_text(server, "bootId"),
        version=_text(server, "version"),
        scopes=tuple(map(str, scopes)) if isinstance(scopes, list) else (),
        tick_interval_s=tick_ms / 1000 if tick_ms else TICK_INTERVAL_S,
        clock_ms=clock_ms,
    )


def _mapping(frame: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = frame.get(key)
    return value if isinstance(value, dict) else {}


def _text(frame: Mapping[str, Any], key: str) -> str:
    value = frame.get(key)
    return value if isinstance(value, str) else ""


def _count(frame: Mapping[str, Any], key: str) -> int | None:
    value = frame.get(key)
    return value if type(value) is int and 0 <= value <= MAX_COUNT else None


def _shown(text: str | bytes) -> str:
    return repr(text[:SHOWN_CHARS])
