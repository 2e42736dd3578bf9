"""Pulses as turns in the OpenClaw Gateway: the second implementation of the `Runner` port.

The end of a run is known from three sides, since each of them fails at times: `agent.wait` (not
while the Gateway stops), the second answer to `agent` (lost with the connection; the only one
that tells the cost), and the `chat` event that closes the run (lost in a gap).

A Gateway that crashes in the middle of a turn resumes it by itself, some seconds after its next
start, under another run id and without our status text.  That would be a second run of the same
attempt, so the session is reset before it can act: see `_conclude`.

Long, because its second half reads the payloads that the first half alone asks for.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import attrs
import trio

from ..actors import Life, Outcome, OutcomeKind, PulseOrder, RunHandle
from ..storage import MissionError
from ._connection import ConnectionLost
from ._frames import Event, Settled, WireError
from ._link import Gap, Gateway, Watch
from ._refusals import RETRY_AFTER_MS, is_transient
from ._transcript import CLOSING, Transcript, closing_outcome_of, outcome_of, records

ABORT_TIMEOUT_S = 20.0
"""How long a cancelled call tries to stop its run before it leaves that to the next session."""
GRACE_S = 2.0
"""How much later than the first sign of the end the second answer may come."""
WAIT_MS = 20_000
"""How long one `agent.wait` waits."""
GLANCE_MS = 500
"""The same, where we only want to know how it stands."""

SIGNS = {
    "assistant": "token",
    "command_output": "tool output",
    "item": "progress",
    "lifecycle": "turn",
    "tool": "tool call",
}
"""Streams of `agent` events that only a living run writes."""


T = TypeVar("T")

log = logging.getLogger(__name__)


def _never() -> bool:
    return False


class OpenClawRunner:
    """Runs pulses as turns of one agent of the Gateway, one session per agent of ours.

    Args:
        gateway: the link; whoever made the runner keeps it connected.
        prompt_injected: says whether the plugin puts the status text into the prompt.
    """

    def __init__(
        self,
        gateway: Gateway,
        *,
        prompt_injected: Callable[[], bool] = _never,
    ) -> None:
        self._gateway = gateway
        self._prompt_injected = prompt_injected
        self._unfinished: dict[str, _Run] = {}
        """By session: runs that could not be stopped in time."""

    @property
    def name(self) -> str:
        """Recorded with each pulse."""
        return "openclaw"

    @property
    def away(self) -> str | None:
        """Why the Gateway cannot be asked, or should not be: it is about to stop."""
        return self._gateway.why_away

    async def open_session(self, order: PulseOrder) -> str:
        """Make sure that the session exists, with its `cwd`; return the Gateway's id of it.

        Raises:
            Unavailable: the Gateway is away.
            Invalid: it does not accept the agent or the folder.
        """
        if order.session_key in self._unfinished:
            await self._stop(self._unfinished[order.session_key])
        _, owner, _ = order.session_key.split(":", 2)
        session = {
            "agentId": owner,
            "key": order.session_key,
            "cwd": str(order.cwd),
            "label": order.agent_id,
        }
        made = await self._gateway.call("sessions.create", session)
        return str(made.get("sessionId", ""))

    async def run(self, order: PulseOrder, life: Life) -> Outcome:
        """Run one turn; see the port."""
        boot_id = self._gateway.boot_id
        if boot_id is None:
            return Outcome(OutcomeKind.NOT_STARTED, self._gateway.why_down or "")
        run = _Run(order.session_key, order.pulse_id, boot_id)
        await life.started(RunHandle(run_id=run.run_id, boot_id=boot_id))
        if self._gateway.boot_id != boot_id:
            return Outcome(OutcomeKind.NOT_STARTED, "the Gateway went away before the dispatch")
        with self._gateway.watch(run.run_id, run.session_key) as updates:
            async with self._stopped_unless_over(run):
                return await self._dispatch(run, order) or await self._follow(run, life, updates)

    async def recover(self, order: PulseOrder, handle: RunHandle, life: Life) -> Outcome:
        """Follow the turn if it still runs, or find out how it ended; see the port.

        Waits for the Gateway, if need be for ever: without it nobody knows.
        """
        if handle.run_id is None:
            return Outcome(OutcomeKind.NOT_STARTED, "it was never dispatched")
        run = _Run(order.session_key, handle.run_id, handle.boot_id or "", doubtful=True)
        with self._gateway.watch(run.run_id, run.session_key) as updates:
            async with self._stopped_unless_over(run):
                return await self._follow(run, life, updates)

    async def _dispatch(self, run: _Run, order: PulseOrder) -> Outcome | None:
        """Hand the turn to the Gateway; return an outcome where it does not take it.

        Asked again in the same life of the Gateway, the key makes it the same run.
        """
        while self._gateway.boot_id in (run.boot_id, None):
            try:
                # No deadline: what is late may still run.  Who gives up, cancels.
                run.settle(await self._gateway.call("agent", self._turn(order), timeout=math.inf))
            except ConnectionLost:
                run.doubtful = True
                await self._gateway.wait_connected()
            except MissionError as refused:
                if run.doubtful:
                    return None
                kind = OutcomeKind.NOT_STARTED if refused.retryable else OutcomeKind.FAILED
                return Outcome(kind, refused.message)
            else:
                run.doubtful = False
                return None
        return None

    def _turn(self, order: PulseOrder) -> dict[str, Any]:
        turn = {
            "message": order.prompt,
            "sessionKey": order.session_key,
            "idempotencyKey": order.pulse_id,
            "timeout": max(1, math.ceil(order.timeout_s)),  # 0 would be no limit at all
            "deliver": False,
        }
        if not self._prompt_injected():
            turn["extraSystemPrompt"] = order.status_text
        return turn

    async def _follow(self, run: _Run, life: Life, updates: Watch) -> Outcome:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_collect, run, life, updates)
            nursery.start_soon(self._reaching, self._look, run)
            await run.over.wait()
            if not run.forgotten:
                with trio.move_on_after(GRACE_S):
                    await run.settled.wait()
            nursery.cancel_scope.cancel()
        outcome = run.outcome()
        if outcome is None:
            return await self._reaching(self._conclude, run)
        return outcome if run.settled.is_set() else await self._with_usage(run, outcome)

    async def _reaching(self, step: Callable[[_Run], Awaitable[T]], run: _Run) -> T:
        """Do *step*, again and again if the Gateway goes away meanwhile."""
        while True:
            await self._gateway.wait_connected()
            try:
                return await step(run)
            except MissionError as error:
                if not error.retryable:
                    raise
                await trio.sleep((error.retry_after_ms or RETRY_AFTER_MS) / 1000)

    async def _look(self, run: _Run) -> None:
        """Ask how *run* stands until that is known."""
        while self._gateway.boot_id == run.boot_id:
            wait_ms = GLANCE_MS if run.doubtful else WAIT_MS
            if await self._has_ended(run, wait_ms):
                return
            if run.doubtful and not await self._tasks(run, "cli"):
                break
            run.doubtful = False
        run.forget()

    async def _has_ended(self, run: _Run, wait_ms: int) -> bool:
        asked = {"runId": run.run_id, "timeoutMs": wait_ms}
        answer = await self._gateway.call("agent.wait", asked)
        if "endedAt" in answer:  # without it, "timeout" is no news of the run
            run.end(answer)
        return run.over.is_set()

    async def _tasks(self, run: _Run, kind: str) -> list[str]:
        """The active tasks of the run (`cli`), or the commands its session left (`exec`)."""
        asked = {"sessionKey": run.session_key, "status": ["queued", "running"]}
        answer = await self._gateway.call("tasks.list", asked)
        tasks = [task for task in records(answer, "tasks") if task.get("kind") == kind]
        if kind == "cli":
            tasks = [task for task in tasks if task.get("runId") == run.run_id]
        return [str(task.get("taskId")) for task in tasks]

    async def _conclude(self, run: _Run) -> Outcome:
        """Find out from the transcript how a run ended that the Gateway does not know."""
        crashed = self._gateway.boot_id != run.boot_id
        turn = await self._read(run)
        outcome = turn.outcome()
        if outcome is not None:
            return outcome
        if not crashed:
            await self._abort(run)
            return turn.lost("the Gateway does not remember how it ended")
        await self._gateway.call("sessions.reset", {"key": run.session_key})
        return turn.lost("the Gateway ended in mid-turn; the session was reset")

    async def _read(self, run: _Run) -> Transcript:
        asked = {"sessionKey": run.session_key, "limit": Transcript.LIMIT}
        history = await self._gateway.call("chat.history", asked)
        return Transcript.of(history, run.run_id)

    async def _with_usage(self, run: _Run, outcome: Outcome) -> Outcome:
        """Add what the transcript tells of the cost; it is no reason to fail."""
        try:
            turn = await self._read(run)
        except MissionError:
            return outcome
        return attrs.evolve(outcome, tokens=turn.tokens, cost_usd=turn.cost_usd)

    @asynccontextmanager
    async def _stopped_unless_over(self, run: _Run) -> AsyncIterator[None]:
        """Leave nothing running where the block is cancelled or fails."""
        try:
            yield
        except BaseException:  # cancellation above all; raised again below, whatever it is
            self._unfinished[run.session_key] = run
            with trio.move_on_after(ABORT_TIMEOUT_S, shield=True), suppress(MissionError):
                await self._reaching(self._stop, run)
            if run.session_key in self._unfinished:
                log.warning("run %s could not be stopped yet", run.run_id)
            raise

    async def _stop(self, run: _Run) -> None:
        """Stop *run*, and prove it."""
        if self._gateway.boot_id == run.boot_id:
            await self._abort(run)
        else:
            await self._conclude(run)
        self._unfinished.pop(run.session_key, None)

    async def _abort(self, run: _Run) -> None:
        """Abort *run* in the life of the Gateway that took it, with the commands it left."""
        active = True
        while active:
            asked = {"key": run.session_key, "runId": run.run_id}
            await self._gateway.call("sessions.abort", asked)
            active = not await self._has_ended(run, GLANCE_MS) and bool(
                await self._tasks(run, "cli")
            )
        for task_id in await self._tasks(run, "exec"):
            await self._gateway.call("tasks.cancel", {"taskId": task_id, "reason": "aborted"})


@attrs.define
class _Run:
    """What is known of one run while it is followed."""

    session_key: str
    run_id: str
    boot_id: str
    doubtful: bool = False
    """Whether it is open that this life of the Gateway has heard of it."""
    over: trio.Event = attrs.field(factory=trio.Event, init=False)
    settled: trio.Event = attrs.field(factory=trio.Event, init=False)
    forgotten: bool = attrs.field(default=False, init=False)
    _end: Mapping[str, Any] | None = attrs.field(default=None, init=False)
    _closing: Mapping[str, Any] | None = attrs.field(default=None, init=False)

    def settle(self, payload: Mapping[str, Any], error: WireError | None = None) -> None:
        """Take the second answer to `agent`, the best that there is; ignore its first."""
        if error is not None:
            status = "refused" if is_transient(error) else "error"
            payload = {"status": status, "error": error.message}
        elif "result" not in payload and "summary" not in payload:
            return
        self._end = payload
        self.settled.set()
        self.over.set()

    def end(self, payload: Mapping[str, Any]) -> None:
        """Take the answer of `agent.wait`."""
        self._end = self._end or payload
        self.over.set()

    def close(self, payload: Mapping[str, Any]) -> None:
        """Take the `chat` event that closes the run."""
        self._closing = payload
        self.over.set()

    def forget(self) -> None:
        """Nothing will come any more: the transcript has to tell."""
        self.forgotten = True
        self.over.set()

    def outcome(self) -> Outcome | None:
        """How it ended, by the best of what came; None if only the transcript can tell."""
        if self._end is not None:
            return outcome_of(self._end)
        return None if self._closing is None else closing_outcome_of(self._closing)


async def _collect(run: _Run, life: Life, updates: Watch) -> None:
    """Take in what the Gateway tells of *run*, until cancelled."""
    async for update in updates:
        match update:
            case Settled(payload=payload, error=error):
                run.settle(payload, error)
            case Event(name="agent", payload={"runId": run.run_id, "stream": str(stream)}):
                if stream in SIGNS:
                    life.sign(SIGNS[stream])
            case Event(name="chat", payload={"runId": run.run_id, "state": str(state)} as payload):
                if state in CLOSING:
                    run.close(payload)
            case Event() | Gap():
                pass  # others' events; what a gap hid, `_look` finds out
