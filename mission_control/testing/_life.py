"""One life of the Gateway, from its start to its end: what it keeps in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import attrs
import trio
from trio_websocket import ConnectionClosed

from ._peer import Frame, Peer, Refusal
from ._performance import Performance
from ._run import RESET, Run
from ._script import Script, Turn
from ._sessions import Disk, Session, new_id

DRAINING = "Gateway is draining; new tasks are not accepted"


@attrs.define(eq=False)
class Life:
    """The runs and clients of one process, which are gone with it."""

    disk: Disk
    script: Script
    now_ms: Callable[[], int]
    nursery: trio.Nursery = attrs.field(init=False)
    """Of all that lives in it; there as soon as it has begun."""
    peers: set[Peer] = attrs.field(factory=set)
    runs: dict[str, Run] = attrs.field(factory=dict)
    """By idempotency key."""
    commands: dict[str, Frame] = attrs.field(factory=dict)
    """Tasks of commands that turns left behind, by task id."""
    sent: dict[str, Frame] = attrs.field(factory=dict)
    """Answers to `send`, by idempotency key."""
    draining: str | None = None
    """Why it takes no turns any more: it is `restarting`, or `stopping`."""
    door: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    """Cancelled when nobody is let in any more."""
    begun: trio.Event = attrs.field(factory=trio.Event)
    over: trio.Event = attrs.field(factory=trio.Event)
    """Set when the last of it has gone."""
    _lanes: dict[str, deque[Run]] = attrs.field(factory=dict)
    _change: trio.Event = attrs.field(factory=trio.Event)

    async def tell(self, event: str, /, **payload: Any) -> None:
        """Tell every client that is there."""
        for peer in tuple(self.peers):
            with suppress(ConnectionClosed):
                await peer.tell(event, **payload)

    def begin(self, run: Run) -> None:
        """Play *run* after those that its session has already."""
        self.runs[run.id] = run
        lane = self._lanes.setdefault(run.turn.session_key, deque())
        lane.append(run)
        if len(lane) == 1:
            self.nursery.start_soon(self._work_off, run.turn.session_key, lane)
        self.news()

    def active(self, session_key: str | None = None) -> Iterator[Run]:
        """Return the runs that are queued or play, oldest first."""
        for key, lane in self._lanes.items():
            if session_key in (None, key):
                yield from (run for run in lane if run.waited is None)

    async def stop(self, run: Run, reason: str) -> None:
        """End *run* from outside, and say so."""
        queued = run.started_ms is None
        run.stop(reason, self.now_ms())
        self.news()
        about = {"runId": run.id, "sessionKey": run.turn.session_key}
        ended = {"aborted": True, "stopReason": reason}
        if reason == "rpc":
            ended |= {"phase": "end", "status": "cancelled"}
        else:
            ended |= {"phase": "error", "error": RESET}
        more = {"seq": run.events + 1, "ts": self.now_ms()}
        await self.tell("agent", **about, **more, stream="lifecycle", data=ended)
        await self.tell("chat", **about, seq=run.events, state="aborted", stopReason=reason)
        if queued:
            queue = {"timeoutPhase": "queue", "providerStarted": False}
            await run.settle(status="timeout", summary="aborted", stopReason=reason, **queue)

    async def wait(self, run_id: str, timeout_s: float) -> Frame | None:
        """Return how the run ended, or that there is no news of it; None while it stops."""
        with trio.move_on_after(timeout_s):
            while self.draining != "stopping":
                run = self.runs.get(run_id)
                if run is not None and run.waited is not None:
                    return run.waited
                await self._change.wait()
            return None
        return {"runId": run_id, "status": "timeout"}

    def leave(self, session_key: str, command: str) -> None:
        """Let *command* run on after its turn."""
        id_ = new_id()
        self.commands[id_] = {
            "id": id_,
            "taskId": id_,
            "kind": "exec",
            "status": "running",
            "title": command,
            "sessionKey": session_key,
            "runId": f"exec:{id_}",
        }

    async def drain(self, why: str) -> None:
        """Take no more turns, and wait for those that play."""
        self.draining = why
        self.news()
        if why == "stopping":
            self.door.cancel()
            for run in [run for run in self.active() if run.started_ms is None]:
                run.stop("restart", self.now_ms())
                lost = {"runId": run.id, "status": "error", "summary": DRAINING}
                await run.break_off(Refusal("UNAVAILABLE", DRAINING), lost)
        while any(self._lanes.values()):
            await self._change.wait()

    async def resume(self, after_s: float) -> None:
        """Begin again, a while after the start, what a crash interrupted.

        Unless somebody has reset the session meanwhile, or begun another turn there.
        """
        interrupted = [s for s in self.disk.sessions.values() if s.unfinished is not None]
        for session in interrupted:
            session.aborted_last_run = True
        turns = [(session, session.unfinished) for session in interrupted]
        await trio.sleep(after_s)
        for session, turn in turns:
            if turn is not None and session.unfinished is turn and not self.is_busy(session):
                again = attrs.evolve(turn, run_id=new_id(), system="", resumed=True)
                self.begin(Run(again))

    def is_busy(self, session: Session) -> bool:
        """Whether a turn is queued or plays there."""
        return any(self.active(session.key))

    def prompt(self, session: Session, params: Frame) -> Turn:
        """Return the turn that an `agent` request asks for."""
        timeout = params.get("timeout")
        return Turn(
            run_id=params["idempotencyKey"],
            session_key=session.key,
            agent_id=session.agent_id,
            message=params["message"],
            system=str(params.get("extraSystemPrompt") or ""),
            cwd=session.cwd,
            timeout_s=float(timeout) if timeout else None,
        )

    async def _work_off(self, key: str, lane: deque[Run]) -> None:
        while lane:
            run, session = lane[0], self.disk.sessions.get(key)
            if run.waited is None and session is not None:
                await Performance(self, run, session).play()
            lane.popleft()
            self.news()

    def news(self) -> None:
        """Wake all who wait for something to happen to a run."""
        self._change.set()
        self._change = trio.Event()


def restarting(method: str) -> Refusal:
    """Return what is said to *method* while the Gateway stops or restarts."""
    return Refusal(
        "UNAVAILABLE",
        f"{method} unavailable during gateway restart",
        {"method": method, "reason": "gateway-restarting", "phase": "accepting"},
        retryable=True,
        retry_after_ms=1000,
    )
