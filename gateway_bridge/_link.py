"""The link to the OpenClaw Gateway: kept for ever, whatever becomes of single connections.

* `Gateway` is what the rest of the program holds: calls and watches that outlive connections.
* `GatewayLink` is the actor that keeps a Gateway connected.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Never, NoReturn, TypeAlias

import attrs
import trio
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    wait_random_exponential,
)

from ..storage import Deadline, Invalid, Unavailable
from ..supervisor import Actor
from ._address import GatewayAddress
from ._breaker import Breaker
from ._connection import Connection, Heard, open_connection
from ._frames import Event, Settled
from ._quota import ControlPlaneQuota, deadline_of
from ._refusals import RETRY_AFTER_MS, GatewayRefused

MAX_IN_FLIGHT = 128
"""Calls that wait for an answer at once; the Gateway turns away what is beyond some 256."""
WATCH_LIMIT = 1000
"""Events that a watch keeps for a slow reader."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 5.0
EXPECTED_S = 30.0
"""For so long after it was heard of, the Gateway may be on its way up: it is tried often."""
REFUSED_WAIT_S = 30.0
"""Between attempts that can only succeed if a person changes something."""

log = logging.getLogger(__name__)


@attrs.frozen
class Gap:
    """Events were missed here: read the state again."""

    why: str


Update: TypeAlias = Event | Settled | Gap
"""What a watch tells its reader."""


class Watch:
    """What happens to one run, and to others in its session, while somebody watches."""

    def __init__(self, run_id: str, session_key: str) -> None:
        self._run_id = run_id
        self._session_key = session_key
        self._in, self._out = trio.open_memory_channel[Update](WATCH_LIMIT)
        self._gap: Gap | None = None

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Update:
        if self._gap and not self._out.statistics().current_buffer_used:
            gap, self._gap = self._gap, None
            return gap
        return await self._out.receive()

    def tell(self, heard: Heard) -> None:
        """Pass on what concerns this run or session; never waits."""
        match heard:
            case Settled(run_id=run_id) if run_id == self._run_id:
                self._offer(heard)
            case Event(payload=payload) if self._concerns(payload):
                self._offer(heard)
            case _:
                pass

    def miss(self, why: str) -> None:
        """Mark that events may be missing here."""
        self._offer(Gap(why))

    def _concerns(self, payload: Mapping[str, Any]) -> bool:
        run_id, session_key = payload.get("runId"), payload.get("sessionKey")
        return run_id == self._run_id or session_key == self._session_key

    def _offer(self, update: Update) -> None:
        try:
            if self._gap:
                self._in.send_nowait(self._gap)
                self._gap = None
            self._in.send_nowait(update)
        except trio.WouldBlock:
            self._gap = Gap("the reader is slow")


class Gateway:
    """The Gateway as the rest of the program sees it: sometimes away, always the same object.

    Args:
        address: where it is.
        read_token: called before each connection, so that a token that was mended or replaced is
            found; by default the one in *address* is good for ever.
    """

    def __init__(
        self, address: GatewayAddress, read_token: Callable[[], str] | None = None
    ) -> None:
        self.address = address
        self._read_token = read_token
        self._connection: Connection | None = None
        self._why_down = f"the Gateway at {address.url} has not been asked yet"
        self._change = trio.Event()
        self._heard_of = trio.Event()
        self._expected_until = -math.inf
        self._watches: set[Watch] = set()
        self._draining: str | None = None
        self._breaker = Breaker(trio.current_time)
        self._quota = ControlPlaneQuota()
        self._places = trio.CapacityLimiter(MAX_IN_FLIGHT)

    @property
    def url(self) -> str:
        """Where it is."""
        return self.address.url

    @property
    def connected(self) -> bool:
        """Whether a call would reach the Gateway now."""
        return self._connection is not None and self._connection.is_open

    @property
    def boot_id(self) -> str | None:
        """Which life of the Gateway we are connected to."""
        return self._connection.hello.boot_id if self._connection and self.connected else None

    @property
    def why_down(self) -> str | None:
        """One line that says why it is away, and what to do where somebody can do something."""
        return None if self.connected else self._why_down

    @property
    def left_alone(self) -> bool:
        """Whether it has failed so often that calls are refused at once."""
        return self._breaker.is_open

    async def changed(self) -> None:
        """Wait until `connected` or `why_down` has changed."""
        await self._change.wait()

    async def wait_connected(self) -> str:
        """Wait, if need be for ever, for a connection; return its boot id."""
        while (boot_id := self.boot_id) is None:
            await self.changed()
        return boot_id

    @property
    def why_away(self) -> str | None:
        """Why no turn should be begun there: it is down, or about to be."""
        return self.why_down or self._draining

    async def call(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # becomes an error of our taxonomy
    ) -> dict[str, Any]:
        """Ask the Gateway; return the payload of its answer.

        Args:
            method: as the Gateway names it.
            params: checked there.
            timeout: seconds for all of it; by default what the method usually needs at most.

        Raises:
            Unavailable: it is away, or has failed so often that it is left alone; nothing was
                asked.
            ConnectionLost: it went away before it answered.
            Deadline: no answer in time.
            MissionError: what the Gateway's error means.
        """
        timeout = deadline_of(method) if timeout is None else timeout
        self._require_connection()
        try:
            with self._breaker.watch(method), _deadline(method, timeout):
                await trio.sleep(self._quota.reserve(method, trio.current_time()))
                async with self._places:
                    return await self._require_connection().call(method, params)
        except Unavailable as error:
            if error.details.get("gateway_reason") == "gateway-restarting":
                self._drain("the Gateway is about to restart")
            raise

    def _require_connection(self) -> Connection:
        if self._connection is None or not self.connected:
            raise Unavailable(self._why_down, retry_after_ms=RETRY_AFTER_MS)
        return self._connection

    def _drain(self, why: str) -> None:
        if self._draining is None:
            log.info("%s: no turn is begun there until it is back", why)
            self._draining = why
            self._tell_change()

    @contextmanager
    def watch(self, run_id: str, session_key: str) -> Iterator[Watch]:
        """Collect what happens to the run and in its session, over all reconnections."""
        watch = Watch(run_id, session_key)
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    async def stay_connected(self) -> NoReturn:
        """Connect, and connect again whenever the connection is lost."""
        retrying = AsyncRetrying(
            sleep=self._rest,
            retry=retry_if_exception_type(Unavailable),
            wait=_patience,
            before_sleep=self._note_failure,
        )
        while True:
            why: str = await retrying(self._live_once)
            self._miss(why)
            await trio.sleep(random.uniform(0, FIRST_WAIT_S))  # noqa: S311  # jitter, no secret

    def expect(self) -> None:
        """Somebody in the Gateway was heard: try now, and often until it is up."""
        self._expected_until = trio.current_time() + EXPECTED_S
        self._heard_of.set()

    async def _rest(self, seconds: float) -> None:
        """Wait before the next attempt; less long where a Gateway that was away is expected."""
        self._heard_of = trio.Event()
        if seconds <= LONGEST_WAIT_S and trio.current_time() < self._expected_until:
            seconds = min(seconds, FIRST_WAIT_S)
        with trio.move_on_after(seconds):
            await self._heard_of.wait()

    async def _live_once(self) -> str:
        """Live through one connection; return why it ended."""
        async with open_connection(self._present_address(), self._hear) as connection:
            self._connection, self._draining = connection, None
            self._breaker.reset()
            log.info("connected to the Gateway %s at %s", connection.hello.version, self.url)
            self._tell_change()
            try:
                why = await connection.ended()
            finally:
                self._connection = None
            self._note(why)
            return why

    def _present_address(self) -> GatewayAddress:
        if self._read_token is None:
            return self.address
        try:
            return attrs.evolve(self.address, token=self._read_token())
        except Invalid as unreadable:
            raise GatewayRefused(unreadable.message) from unreadable

    def _tell_change(self) -> None:
        self._change.set()
        self._change = trio.Event()

    def _hear(self, heard: Heard) -> None:
        if isinstance(heard, Event):
            if heard.missed:
                self._miss(f"{heard.missed} events did not arrive")
            if heard.name == "shutdown":
                self._drain(f"the Gateway says goodbye ({heard.payload.get('reason')})")
        for watch in self._watches:
            watch.tell(heard)

    def _miss(self, why: str) -> None:
        for watch in self._watches:
            watch.miss(why)

    def _note_failure(self, state: RetryCallState) -> None:
        self._note(str(_failure(state)))

    def _note(self, why: str) -> None:
        """Say once why there is no connection, however often it is tried."""
        if why != self._why_down:
            log.warning("%s", why)
        self._why_down = why
        self._tell_change()


@contextmanager
def _deadline(method: str, seconds: float) -> Iterator[None]:
    try:
        with trio.fail_after(seconds):
            yield
    except trio.TooSlowError:
        late = f"the Gateway did not answer {method} in {seconds:g} s"
        raise Deadline(late, retry_after_ms=RETRY_AFTER_MS) from None


_backoff = wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)


def _patience(state: RetryCallState) -> float:
    """How many seconds to wait before the next attempt to connect."""
    match _failure(state):
        case GatewayRefused():
            return REFUSED_WAIT_S
        case Unavailable(retry_after_ms=int(asked_for)):
            return asked_for / 1000
        case _:
            return _backoff(state)


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


class GatewayLink(Actor[Never]):
    """Keeps a Gateway connected for as long as it lives; there is nothing to tell it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def started(self) -> None:
        """Begin to connect; whether that succeeds, the Gateway itself tells."""
        self.ctx.start_soon(self._gateway.stay_connected, name="gateway connection")

    def state(self) -> object:
        """What operators may see: no token."""
        return {
            "url": self._gateway.url,
            "boot_id": self._gateway.boot_id,
            "why_away": self._gateway.why_away,
            "left_alone": self._gateway.left_alone,
        }
