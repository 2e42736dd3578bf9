"""One attempt: briefed from the records, watched for signs of life, ended by whoever has reason."""

from __future__ import annotations

from pathlib import Path

import trio

from ..storage import (
    Agent,
    Fence,
    MissionError,
    Pulse,
    PulseKind,
    Unavailable,
    agent_lease,
    read_plain,
)
from ..storage.commands import MarkRunning
from ._deadman import Deadman
from ._mission import Mission
from ._runner import Outcome, OutcomeKind, PulseOrder, RunHandle
from ._seal import unsealed
from ._session import Ensure, session_name, session_order
from ._status_text import (
    RECENT_EVENTS,
    RECENT_NOTES,
    Layers,
    Standing,
    prompt,
    status_text,
)
from ._tokens import AgentIdentity

REACHABLE_POLL_S = 0.5
MAX_LAYER_BYTES = 64 * 1024
"""Of a file of memory; its end counts."""


class Unsettled(Exception):
    """An attempt was given up, and its run may go on: it has to be recovered."""


class Attempt:
    """Runs one recorded attempt to its end.  It is the `Life` that the runner reports to."""

    def __init__(self, mission: Mission, agent: Agent, pulse: Pulse, *, recovering: bool) -> None:
        self.pulse = pulse
        self._recovering = recovering
        self.began = recovering
        """Whether the runner may have let it act."""
        self._mission = mission
        self._agent = agent
        self._scope = trio.CancelScope()
        self._deadman = Deadman(mission.settings.deadman_s, trio.current_time())
        self.aborted: str | None = None
        """Why it was ended from outside, if it was."""

    @property
    def may_go_on(self) -> bool:
        """Whether a run may be going on that we have not ended, because nobody can be asked."""
        return self._recovering or self._mission.runner.away is not None

    async def run(self) -> Outcome:
        """Run it, or find out what became of it.  When this returns, nothing of it runs.

        Raises:
            Unsettled: it was ended from outside while the runner's host is away, so it may go on.
        """
        mission, agent = self._mission, self._agent
        if self._recovering:
            await self._until_reachable()
        token = mission.tokens.issue(
            AgentIdentity(
                agent.id,
                agent.project_id,
                self.pulse.id,
                self.pulse.task_id,
                Fence(agent_lease(agent.id), self.pulse.fence),
            )
        )
        try:
            self._scope.deadline = trio.current_time() + agent.timeout_s
            with self._scope:
                return await self._watched(token)
        finally:
            mission.tokens.revoke(token)
        if mission.runner.away is not None:
            raise Unsettled(self.aborted or "out of time")
        if self.aborted is not None:
            return Outcome(OutcomeKind.ABORTED, self.aborted)
        return Outcome(OutcomeKind.TIMED_OUT, f"took more than {agent.timeout_s:g} s")

    def abort(self, why: str) -> None:
        """End it: its run is cancelled, and with it everything that it started."""
        if self.aborted is None:
            self.aborted = why
            self._scope.cancel()

    def sign(self, what: str, expect_silence_s: float | None = None) -> None:
        """The agent did something."""
        self._deadman.sign(trio.current_time(), what, expect_silence_s)

    async def started(self, handle: RunHandle) -> None:
        """Make it durable how the run is found again."""
        self.began = True
        mark = MarkRunning(
            self.pulse.id,
            handle.process_group,
            handle.process_started,
            handle.run_id,
            handle.boot_id,
        )
        await self._mission.store.write(mark, by="mission-control")

    async def _watched(self, token: str) -> Outcome:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            outcome = await self._dispatch(token)
            nursery.cancel_scope.cancel()
        return outcome

    async def _dispatch(self, token: str) -> Outcome:
        runner = self._mission.runner
        while self._recovering:
            try:
                return await runner.recover(self._order(token), _handle(self.pulse), self)
            except Unavailable:
                await self._until_reachable()
        try:
            await self._mission.ask(session_name(self._agent.id), Ensure())
            # Briefed only now: what became of the session is among what the agent is told.
            return await runner.run(self._order(token), self)
        except MissionError as refusal:
            kind = OutcomeKind.NOT_STARTED if refusal.retryable else OutcomeKind.FAILED
            return Outcome(kind, refusal.message)

    def _order(self, token: str) -> PulseOrder:
        return brief(self._mission, self._agent, self.pulse, token)

    async def _until_reachable(self) -> None:
        """Wait for the runner's host.

        Until it can be asked, a run may be going on there: nothing may be begun beside it.
        """
        while self._mission.runner.away is not None:
            await trio.sleep(REACHABLE_POLL_S)
            self.sign("waiting for the runner's host")

    async def _watch(self) -> None:
        while True:
            verdict = self._deadman.verdict(trio.current_time())
            if verdict is not None:
                self.abort(verdict)
                return
            await trio.sleep_until(self._deadman.dies_at)


def _handle(pulse: Pulse) -> RunHandle:
    return RunHandle(pulse.process_group, pulse.process_started, pulse.run_id, pulse.boot_id)


def brief(mission: Mission, agent: Agent, pulse: Pulse, token: str = "") -> PulseOrder:
    """Tell a runner, and the agent through it, all there is to know for *pulse*."""
    standing = stand(mission, agent, pulse)
    scope, session = mission.home.scope(agent.project_id), session_order(mission, agent)
    return PulseOrder(
        pulse_id=pulse.id,
        agent_id=agent.id,
        project_id=agent.project_id,
        soul=agent.soul,
        session_key=session.session_key,
        kind=pulse.kind.value,
        task_id=pulse.task_id,
        task_title=standing.task.title if standing.task else None,
        attempt=pulse.attempt,
        scope=scope.path,
        cwd=session.cwd,
        status_text=status_text(standing),
        prompt=prompt(standing),
        timeout_s=agent.timeout_s,
        command=agent.command or mission.settings.command,
        token=token,
    )


def stand(mission: Mission, agent: Agent, pulse: Pulse) -> Standing:
    """Gather where *agent* stands at the beginning of *pulse*."""
    reads = mission.reads
    task = reads.find_task(pulse.task_id)
    attempts = pulse.kind is PulseKind.WORK and pulse.task_id is not None
    earlier = reads.pulses_of_task(pulse.task_id) if attempts and pulse.task_id else []
    return Standing(
        agent=agent,
        pulse=pulse,
        task=task,
        path=str(mission.home.scope(agent.project_id).path),
        layers=_layers(mission, agent),
        notes=tuple(reads.messages(agent.id, RECENT_NOTES)),
        news=tuple(reads.messages_shown(pulse)),
        events=tuple(
            reads.events(
                task_id=task.id if task else None,
                project_id=agent.project_id,
                limit=RECENT_EVENTS,
            )
        ),
        earlier=tuple(p for p in earlier if p.id != pulse.id),
    )


def _layers(mission: Mission, agent: Agent) -> Layers:
    scope = mission.home.scope(agent.project_id)
    notes = scope.agent(agent.soul)
    souls = (_text(mission.home.soul(agent.soul)), _text(notes / "SOUL.md"))
    return Layers(
        soul="\n\n".join(part for part in souls if part),
        context=_text(scope.context),
        working=_text(notes / "working.md"),
        learned=unsealed(_text(notes / "learned.md")).strip(),
    )


def _text(path: Path) -> str:
    return (read_plain(path, MAX_LAYER_BYTES) or b"").decode("utf-8", "replace").strip()
