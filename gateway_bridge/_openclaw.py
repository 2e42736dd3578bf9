"""Pulses as turns in the OpenClaw Gateway: the second implementation of the `Runner` port.

The end of a run is known from three sides, since each of them fails at times: `agent.wait` (not
while the Gateway stops), the second answer to `agent` (lost with the connection; the only one
that tells the cost), and the `chat` event that closes the run (lost in a gap).

A Gateway that crashes in the middle of a turn resumes it by itself, some seconds after its next
start, under another run id and without our status text.  That would be a second run of the same
attempt, so the session is reset before it can act: see `_conclude`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import attrs
import trio

from ..actors import (
    HostAgent,
    Life,
    Outcome,
    OutcomeKind,
    Page,
    Progress,
    PulseOrder,
    RunHandle,
    SessionOrder,
    SessionStatus,
)
from ..storage import MissionError
from ._census import agents_of, soul_of
from ._connection import ConnectionLost
from ._link import Gateway, Watch
from ._refusals import RETRY_AFTER_MS
from ._sessions import Place, id_of, page_of, status_of
from ._transcript import Transcript, records
from ._turn import Run, collect

ABORT_TIMEOUT_S = 20.0
"""How long a cancelled call tries to stop its run before it leaves that to the next session."""
GRACE_S = 2.0
"""How much later than the first sign of the end the second answer may come."""
WAIT_MS = 20_000
"""How long one `agent.wait` waits."""
GLANCE_MS = 500
"""The same, where we only want to know how it stands."""

T = TypeVar("T")

log = logging.getLogger(__name__)


def _never() -> bool:
    return False


def _nothing() -> None:
    return None


class OpenClawRunner:
    """Runs pulses as turns of one agent of the Gateway, one session per agent of ours.

    Args:
        gateway: the link; whoever made the runner keeps it connected.
        prompt_injected: says whether the plugin puts the status text into the prompt.
        hindrance: says why turns would come to nothing though the Gateway is there; None where
            they would not.
    """

    def __init__(
        self,
        gateway: Gateway,
        *,
        prompt_injected: Callable[[], bool] = _never,
        hindrance: Callable[[], str | None] = _nothing,
    ) -> None:
        self._gateway = gateway
        self._prompt_injected = prompt_injected
        self._hindrance = hindrance
        self._unfinished: dict[str, Run] = {}
        """By session: runs that could not be stopped in time."""

    @property
    def name(self) -> str:
        """Recorded with each pulse."""
        return "openclaw"

    @property
    def away(self) -> str | None:
        """Why the Gateway cannot be asked, or should not be: it is about to stop, say."""
        return self._gateway.why_away or self._hindrance()

    async def open_session(self, order: SessionOrder) -> str:
        """Make sure that the session exists, with its `cwd`; return the id of it and of its life.

        Raises:
            Unavailable: the Gateway is away.
            Invalid: it does not accept the agent or the folder.
        """
        await self._stop_unfinished(order)
        _, owner, _ = order.session_key.split(":", 2)
        session = {
            "agentId": owner,
            "key": order.session_key,
            "cwd": str(order.cwd),
            "label": order.agent_id,
        }
        return id_of(await self._gateway.call("sessions.create", session))

    async def session_status(self, order: SessionOrder) -> SessionStatus | None:
        """Ask how the session stands; see the port."""
        # Of the answers that describe a session, only this one says whether a turn runs.
        asked = {"sessionKey": order.session_key, "limit": 1}
        return status_of(await self._gateway.call("chat.history", asked))

    async def reset_session(self, order: SessionOrder) -> None:
        """Begin the transcript afresh; what a person set for the session is kept, and the `cwd`."""
        await self._stop_unfinished(order)
        await self._end_commands(order.session_key)
        await self._gateway.call("sessions.reset", {"key": order.session_key})

    async def end_session(self, order: SessionOrder) -> None:
        """Delete the session; the Gateway archives its transcript."""
        await self._stop_unfinished(order)
        await self._end_commands(order.session_key)
        await self._gateway.call("sessions.delete", {"key": order.session_key})

    async def transcript(self, order: SessionOrder, *, cursor: str | None, limit: int) -> Page:
        """Read a page of the transcript; see the port."""
        place = None if cursor is None else Place.parse(cursor)
        asked = {"sessionKey": order.session_key, "limit": limit}
        if place is not None:
            asked["offset"] = place.offset
        return page_of(await self._gateway.call("chat.history", asked), place)

    async def host_agents(self) -> tuple[HostAgent, ...]:
        """Ask for the agents that the Gateway is configured with."""
        return await agents_of(self._gateway.call)

    async def host_soul(self, agent_id: str) -> str | None:
        """Ask for the SOUL.md in the workspace of one of them."""
        return await soul_of(self._gateway.call, agent_id)

    async def run(self, order: PulseOrder, life: Life) -> Outcome:
        """Run one turn; see the port."""
        boot_id = self._gateway.boot_id
        if boot_id is None:
            return Outcome(OutcomeKind.NOT_STARTED, self._gateway.why_down or "")
        run = Run(order.session_key, order.pulse_id, boot_id)
        await life.started(RunHandle(run_id=run.run_id, boot_id=boot_id))
        if self._gateway.boot_id != boot_id:
            return Outcome(OutcomeKind.NOT_STARTED, "the Gateway went away before the dispatch")
        return await self._begin(run, order, life)

    async def recover(self, order: PulseOrder, handle: RunHandle, life: Life) -> Outcome:
        """Follow the turn if it still runs, or find out how it ended; see the port.

        Waits for the Gateway, if need be for ever: without it nobody knows.
        """
        if handle.run_id is None:
            return Outcome(OutcomeKind.NOT_STARTED, "it was never dispatched")
        run = Run(order.session_key, handle.run_id, handle.boot_id or "", doubtful=True)
        with self._gateway.watch(run.run_id, run.session_key) as updates:
            async with self._stopped_unless_over(run, life):
                outcome = await self._follow(run, life, updates)
        if outcome.kind is OutcomeKind.NOT_STARTED and self._gateway.boot_id == run.boot_id:
            # What our earlier life asked for may be on its way there still, and begin beside the
            # next attempt.  Asked for again, both are one run by their key.
            return await self._begin(Run(run.session_key, run.run_id, run.boot_id), order, life)
        return outcome

    async def _begin(self, run: Run, order: PulseOrder, life: Life) -> Outcome:
        with self._gateway.watch(run.run_id, run.session_key) as updates:
            async with self._stopped_unless_over(run, life):
                return await self._dispatch(run, order) or await self._follow(run, life, updates)

    async def _dispatch(self, run: Run, order: PulseOrder) -> Outcome | None:
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

    async def _follow(self, run: Run, life: Life, updates: Watch) -> Outcome:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect, run, life, updates)
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

    async def _reaching(self, step: Callable[[Run], Awaitable[T]], run: Run) -> T:
        """Do *step*, again and again if the Gateway goes away meanwhile."""
        while True:
            await self._gateway.wait_connected()
            try:
                return await step(run)
            except MissionError as error:
                if not error.retryable:
                    raise
                await trio.sleep((error.retry_after_ms or RETRY_AFTER_MS) / 1000)

    async def _look(self, run: Run) -> None:
        """Ask how *run* stands until that is known."""
        while self._gateway.boot_id == run.boot_id:
            wait_ms = GLANCE_MS if run.doubtful else WAIT_MS
            if await self._has_ended(run, wait_ms):
                return
            if run.doubtful and not await self._is_listed(run):
                break
            run.doubtful = False
        run.forget()

    async def _has_ended(self, run: Run, wait_ms: int) -> bool:
        asked = {"runId": run.run_id, "timeoutMs": wait_ms}
        answer = await self._gateway.call("agent.wait", asked)
        if "endedAt" in answer:  # without it, "timeout" is no news of the run
            run.end(answer)
        return run.over.is_set()

    async def _is_listed(self, run: Run) -> bool:
        """Whether the run is among what is queued, or runs, in its session."""
        runs = await self._tasks(run.session_key, "cli")
        return any(task.get("runId") == run.run_id for task in runs)

    async def _end_commands(self, session_key: str) -> None:
        """End the commands that turns of a session left running: they outlive turn and session."""
        for task in await self._tasks(session_key, "exec"):
            asked = {"taskId": str(task.get("taskId")), "reason": "aborted"}
            await self._gateway.call("tasks.cancel", asked)

    async def _tasks(self, session_key: str, kind: str) -> list[Mapping[str, Any]]:
        """The active tasks of a session: turns (`cli`) or commands (`exec`)."""
        asked = {"sessionKey": session_key, "status": ["queued", "running"]}
        answer = await self._gateway.call("tasks.list", asked)
        return [task for task in records(answer, "tasks") if task.get("kind") == kind]

    async def _conclude(self, run: Run) -> Outcome:
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

    async def _read(self, run: Run) -> Transcript:
        asked = {"sessionKey": run.session_key, "limit": Transcript.LIMIT}
        history = await self._gateway.call("chat.history", asked)
        return Transcript.of(history, run.run_id)

    async def _with_usage(self, run: Run, outcome: Outcome) -> Outcome:
        """Add what the transcript tells of the cost; it is no reason to fail."""
        try:
            turn = await self._read(run)
        except MissionError:
            return outcome
        return attrs.evolve(outcome, tokens=turn.tokens, cost_usd=turn.cost_usd)

    @asynccontextmanager
    async def _stopped_unless_over(self, run: Run, life: Life) -> AsyncIterator[None]:
        """Leave nothing running where the block is cancelled or fails."""
        try:
            yield
        except BaseException:  # cancellation above all; raised again below, whatever it is
            self._unfinished[run.session_key] = run
            with trio.move_on_after(ABORT_TIMEOUT_S, shield=True), suppress(MissionError):
                life.cut_short(await self._reaching(self._stop, run))
            if run.session_key in self._unfinished:
                log.warning("run %s could not be stopped yet", run.run_id)
            raise

    async def _stop_unfinished(self, order: SessionOrder) -> None:
        run = self._unfinished.get(order.session_key)
        if run is not None:
            await self._stop(run)

    async def _stop(self, run: Run) -> Progress:
        """Stop *run*, and prove it; return how far it came."""
        if self._gateway.boot_id == run.boot_id:
            await self._abort(run)
            progress = await self._progress(run)
        else:
            progress = (await self._conclude(run)).progress
        self._unfinished.pop(run.session_key, None)
        return progress

    async def _progress(self, run: Run) -> Progress:
        """Ask the transcript how far *run* came; that it cannot be read is no reason to fail."""
        try:
            return (await self._read(run)).progress
        except MissionError:
            return Progress()

    async def _abort(self, run: Run) -> None:
        """Abort *run* in the life of the Gateway that took it, with the commands it left."""
        active = True
        while active:
            asked = {"key": run.session_key, "runId": run.run_id}
            await self._gateway.call("sessions.abort", asked)
            active = not await self._has_ended(run, GLANCE_MS) and await self._is_listed(run)
        await self._end_commands(run.session_key)
