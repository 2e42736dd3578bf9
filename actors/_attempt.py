"""One attempt: briefed from the records, watched for signs of life, ended by whoever has reason."""

from __future__ import annotations

import math

import trio

from ..storage import (
    OURSELVES,
    Agent,
    Fence,
    MissionError,
    Pulse,
    PulseState,
    Unavailable,
    agent_lease,
)
from ..storage.commands import MarkRunning
from ._brief import brief
from ._deadman import Deadman
from ._evidence import COMMAND, Evidence
from ._left_behind import end_foreign
from ._mission import Mission
from ._runner import Outcome, OutcomeKind, Progress, PulseOrder, RunHandle
from ._session import Ensure, session_name
from ._tokens import AgentIdentity
from ._traces import changed_since

REACHABLE_POLL_S = 0.5

OF_A_CARD = frozenset({"mission.task.move", "mission.control.log_event", "mission.control.log"})
"""Calls whose effect is seen on the card, or in its stream."""

UNSEEN = "nobody saw what it did at first"
"""Of an attempt that is recovered: it is not taken for idle."""


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
        settings = mission.settings
        self._deadman = Deadman(
            settings.deadman_s, trio.current_time(), longest_s=settings.max_expected_silence_s
        )
        # Before it has a handle, the runner has not let it act.
        self._evidence = Evidence(unseen=recovering and pulse.state is PulseState.RUNNING)
        self._latest = math.inf
        """When its time is up, whatever it announces."""
        self.aborted: str | None = None
        """Why it was ended from outside, if it was."""
        self.excused = False
        """Whether that is no fault of its own, and whoever ended it wants another."""
        self._progress = Progress()
        """How far it came that was cut short."""
        self.moved = UNSEEN if recovering else ""
        """What it has moved, as a clause, as far as its calls and files tell."""

    @property
    def may_go_on(self) -> bool:
        """Whether a run may be going on that we have not ended, because nobody can be asked."""
        return self._recovering or self._mission.runner.away is not None

    @property
    def _foreign(self) -> bool:
        """Whether it is another runner's: the settings have changed since it was dispatched."""
        return self.pulse.runner != self._mission.runner.name

    async def run(self) -> Outcome:
        """Run it, or find out what became of it.  When this returns, nothing of it runs.

        Raises:
            Unsettled: it was ended from outside while the runner's host is away, so it may go on.
        """
        mission, agent = self._mission, self._agent
        # Before the host can be asked: a run that goes on there may act as soon as we live again.
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
            if self._recovering and not self._foreign:
                await self._until_reachable()
            self._scope.deadline = trio.current_time() + agent.timeout_s
            self._latest = self._scope.deadline + mission.settings.max_expected_silence_s
            with self._scope:
                return await self._watched(token)
        finally:
            mission.tokens.revoke(token)
        if mission.runner.away is not None:
            raise Unsettled(self.aborted or "out of time")
        if self.aborted is not None:
            return self.ended_early(OutcomeKind.ABORTED, self.aborted)
        return self.ended_early(OutcomeKind.TIMED_OUT, f"took more than {agent.timeout_s:g} s")

    def ended_early(self, kind: OutcomeKind, why: str) -> Outcome:
        """Return the outcome of a run that we ended: with what it said and took until then."""
        told = self._progress
        return Outcome(kind, why, told.output, told.tokens, told.cost_usd)

    def cut_short(self, progress: Progress) -> None:
        """The run was ended, by us."""
        self._progress = progress

    def abort(self, why: str, *, excused: bool = False) -> None:
        """End it: its run is cancelled, and with it everything that it started."""
        if self.aborted is None:
            self.aborted, self.excused = why, excused
            self._scope.cancel()

    def effects(self, outcome: Outcome) -> str:
        """Return what it may have done outside, as a clause, where *outcome* leaves that open."""
        told = outcome.kind in (OutcomeKind.SUCCEEDED, OutcomeKind.NOT_STARTED)
        return "" if told or self.excused else self._evidence.effects()

    async def look_for_traces(self) -> None:
        """See whether it changed files, unless it is known to have moved something.

        The folder is its project's: of files that are changed beside another agent nobody knows
        whose they are.
        """
        mission, pulse = self._mission, self.pulse
        folder = mission.home.scope(pulse.project_id).src
        if self.moved or mission.reads.has_company(pulse):
            return
        if await changed_since(folder, pulse.started_at):
            self.moved = f"files in {folder.name}/ were changed meanwhile"

    def has_called(self, method: str, task_id: str | None) -> None:
        """The agent has called a method of ours that changes something, maybe at a card."""
        if method not in OF_A_CARD or task_id not in (None, self.pulse.task_id):
            self.moved = f"it called {method}"

    def sign(self, what: str, expect_silence_s: float | None = None) -> None:
        """The agent did something.

        Long work that it announces may also end later than its time would be up: by the longest
        silence that is believed, however often it announces some.
        """
        self._evidence.note(what)
        self._deadman.sign(trio.current_time(), what, expect_silence_s)
        if expect_silence_s is not None and self._latest < math.inf:
            wanted = min(self._deadman.announced_until, self._latest)
            self._scope.deadline = max(self._scope.deadline, wanted)

    async def started(self, handle: RunHandle) -> None:
        """Make it durable how the run is found again."""
        self.began = True
        if handle.process_group is not None:
            self._evidence.note(COMMAND)
        mark = MarkRunning(
            self.pulse.id,
            handle.process_group,
            handle.process_started,
            handle.run_id,
            handle.boot_id,
        )
        await self._mission.store.write(mark, by=OURSELVES)

    async def _watched(self, token: str) -> Outcome:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            outcome = await self._dispatch(token)
            nursery.cancel_scope.cancel()
        return outcome

    async def _dispatch(self, token: str) -> Outcome:
        runner = self._mission.runner
        if self._foreign:
            return await end_foreign(self.pulse.id, _handle(self.pulse), self.pulse.runner)
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
            self._deadman.sign(trio.current_time(), "waiting for the runner's host")

    async def _watch(self) -> None:
        while True:
            verdict = self._deadman.verdict(trio.current_time())
            if verdict is not None:
                self.abort(verdict)
                return
            await trio.sleep_until(self._deadman.dies_at)


def _handle(pulse: Pulse) -> RunHandle:
    return RunHandle(pulse.process_group, pulse.process_started, pulse.run_id, pulse.boot_id)
