"""A world: a home, a host, agents, people and bad luck, for a day and until all is done."""

from __future__ import annotations

import contextlib
import logging
import random
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import tenacity
import trio
from trio.testing import MockClock

from mission_control.actors import Home, PulseOrder, PulseSettings
from mission_control.actors._attempt import Unsettled
from mission_control.actors._pulse import AgentSilent
from mission_control.gateway_bridge import LOCAL, Caller, call
from mission_control.gateway_bridge._callers import of_agent
from mission_control.storage import Deadline, Limited, Unauthenticated, Unavailable
from mission_control.supervisor import ActorDead, Crash, Event, StartFailed, SupervisorGaveUp

from .boards import Boards
from .climate import Climate
from .faults import Faults
from .host import Host, Run
from .laws import Laws
from .life import Life, Terms, TimeOfDay, living
from .machine import Machine, one_thread
from .owners import Owners
from .pace import seldom
from .papers import Papers
from .past import Past
from .people import People
from .replacing import replacing
from .seeds import scheduling, stream
from .turns import Agents
from .unfinished import lost, unfinished
from .watchers import Watchers

DAY_S = 86_400.0
QUIET_S = DAY_S
"""How long the end may take."""
LOOK_S = 1_200.0

SETTINGS = PulseSettings(
    interval_s=1_800.0,
    timeout_s=1_200.0,
    max_retries=3,
    deadman_s=300.0,
    tick_s=3_600.0,
    max_running=3,
    max_running_per_project=2,
)


EXPECTED = (AgentSilent, Unsettled, Unavailable, Deadline, Limited, ActorDead)
"""What actors may fail with: attempts that were ended, neighbours that are away or killed."""


class LawBroken(AssertionError):
    """Something happened that must never happen."""


class World:
    """Everything that one seed decides."""

    machine: Machine
    host: Host
    people: People
    owners: Owners
    agents: Agents
    faults: Faults

    def __init__(self, seed: int, folder: Path, climate: Climate | None = None) -> None:
        self.seed = seed
        self.climate = climate or Climate.of(seed)
        self.journal: list[str] = []
        self.broken: str | None = None
        self.home = Home(folder / "home")
        papers = Papers(self.home.projects, folder / "outside", self.fail)
        self.laws = Laws(self.home, self.fail, papers)
        self.boards = Boards(self.home, self.fail)
        self.life: Life | None = None
        self.clock = TimeOfDay()
        self.past = Past(self.home, self.clock, papers, self.fail, self.note)
        self._scope = trio.CancelScope()

    def note(self, what: str) -> None:
        """Write into the journal."""
        self.journal.append(f"{trio.current_time():.6f} {what}")

    def fail(self, what: str) -> None:
        """End the world: a law is broken."""
        if self.broken is None:
            self.broken = what
            self.journal.append(f"BROKEN: {what}")
            self._scope.cancel()

    def run(self) -> None:
        """Let the world go on to its end.

        Raises:
            LawBroken: with the seed that does it again.
        """
        self.home.make()
        with self._decided():
            trio.run(self._main, clock=MockClock(autojump_threshold=0.0))
        if self.broken is None:
            with contextlib.closing(sqlite3.connect(self.home.database)) as connection:
                self.laws.whole(connection)
            self.laws.look_at_papers()
            self.laws.estates.require_no_folders()
        if self.broken is not None:
            raise LawBroken(f"SEED={self.seed} {self.broken}")

    def log(self) -> list[tuple[object, ...]]:
        """Return every change that was committed."""
        with contextlib.closing(sqlite3.connect(self.home.database)) as connection:
            return connection.execute("SELECT * FROM changes ORDER BY seq").fetchall()

    @contextmanager
    def _decided(self) -> Iterator[None]:
        """Leave nothing to chance that the seed does not decide."""
        state = random.getstate()
        random.seed(self.seed)  # tenacity's jitter
        virtual = SimpleNamespace(monotonic=trio.current_time)
        with ExitStack() as stack:
            # Or it gave up after seconds of ours, at an attempt that depends on the machine.
            stack.enter_context(replacing(tenacity, "time", virtual))
            stack.callback(random.setstate, state)
            stack.enter_context(one_thread(lambda: self.machine))
            stack.enter_context(scheduling(self.seed))
            stack.enter_context(seldom())
            stack.callback(logging.disable, logging.NOTSET)
            logging.disable()  # of so much harm there is a lot to tell
            yield

    async def _main(self) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                self._people_it(nursery)
                nursery.start_soon(self._live)
                await self._pass()
                nursery.cancel_scope.cancel()

    def _people_it(self, nursery: trio.Nursery) -> None:
        def chance(name: str) -> random.Random:
            return stream(self.seed, name)

        self.agents = Agents(chance("agents"), self._as_agent, lambda: [*self.laws.tasks])
        self.host = Host(
            nursery,
            self.agents.turn,
            chance("host"),
            self.fail,
            self.note,
            self._brief,
            SETTINGS.max_running,
            SETTINGS.max_running_per_project,
        )
        self.people = People(chance("people"), self._as_operator, self.note, self.climate.deeds_s)
        self.owners = Owners(
            chance("owners"),
            self.people,
            lambda: self.laws.briefs,
            self.past.keep,
            3 * self.climate.deeds_s,
        )
        self.faults = Faults(
            chance("faults"),
            self.clock,
            self.host,
            lambda: self.life,
            self.note,
            self.climate.faults_s,
        )
        watchers = Watchers(chance("watchers"), lambda: self.life, self.host, self.fail)
        nursery.start_soon(watchers.watch_tasks)
        nursery.start_soon(watchers.try_late_words)

    def _brief(self, order: PulseOrder) -> None:
        self.laws.briefs.given(order)

    async def _pass(self) -> None:
        await self.owners.found()
        with trio.move_on_after(DAY_S):
            async with trio.open_nursery() as troubles:
                troubles.start_soon(self.people.work)
                troubles.start_soon(self.owners.work)
                troubles.start_soon(self.faults.work)
        self.note("calm")
        self.faults.end()
        self.agents.calm = True
        await self._settle()

    async def _live(self) -> None:
        """Live again and again, as a service manager sees to."""
        chance = stream(self.seed, "machine")
        chances = stream(self.seed, "mission")
        terms = Terms(self.home, self.clock, self.host, SETTINGS, chances, self._hear)
        while True:
            if self.faults.wants_the_past:
                self.faults.wants_the_past = False
                self._go_back(chance)
            self.machine = Machine(chance, self._committed)
            self.note("a life begins")
            try:
                with trio.CancelScope() as scope:
                    async with living(terms, self.machine, scope) as self.life:
                        await self.life.over.wait()
            except (StartFailed, SupervisorGaveUp) as failure:
                self.note(f"gave up: {failure}")
            finally:
                self.life = None
            self.note("a life is over")
            await trio.sleep(chance.uniform(1.0, 600.0))

    def _committed(self, connection: sqlite3.Connection) -> None:
        self.laws.committed(connection)
        self.faults.committed(self.laws.touched)

    def _go_back(self, chance: random.Random) -> None:
        """Restore a backup; nobody does so under agents that are at work."""
        self.host.start_again()
        laws = self.past.restore(chance)
        if laws is not None:
            self.laws = laws
            self.people.remember({task["title"] for task in laws.tasks.values()})

    def _hear(self, event: Event) -> None:
        reason = getattr(event, "reason", None)
        if reason is not None:
            self.note(f"{type(event).__name__} {event.offender.id}: {reason!r}")
        if isinstance(reason, Crash) and not isinstance(reason.error, EXPECTED):
            self.fail(f"{event.offender.id} failed as it should not: {reason.error!r}")

    async def _settle(self) -> None:
        """Wait until all that can be done is done."""
        for _ in range(int(QUIET_S / LOOK_S)):
            await self.people.calm_down()
            await trio.sleep(LOOK_S)
            if not any(self._left()):
                return
        self.fail(f"forgotten: {next(self._left())}")

    def _left(self) -> Iterator[str]:
        yield from unfinished(self.laws)
        yield from lost(self.laws, self.people)
        for mirror in self.boards.stale(self.laws.estates.active):
            yield f"{mirror} is out of date"

    async def _as_operator(self, method: str, /, **params: Any) -> Any:
        life = self.life
        if life is None:
            raise Unavailable("no sidecar runs", retry_after_ms=1000)
        answer = await self._ask(life, LOCAL, method, params)
        if method == "mission.task.create":
            self._look_at_board(answer["task"])
        return answer

    def _look_at_board(self, task: dict[str, Any]) -> None:
        """Unless it is the answer of old, to a key that was sent again, and the project is gone."""
        if task["id"] in self.laws.tasks and task["project_id"] in self.laws.estates.kept:
            self.boards.told(task)

    async def _ask(self, life: Life, caller: Caller, method: str, params: dict[str, Any]) -> Any:
        answer = await call(life.mission, caller, method, params)
        if not life.machine.on:
            raise Unavailable("the answer never came", retry_after_ms=1000)
        return answer

    async def _as_agent(self, run: Run, method: str, /, **params: Any) -> Any:
        life = self.life
        if life is None or self.host.away is not None:
            raise Unavailable("no sidecar runs", retry_after_ms=1000)
        identity = life.mission.tokens.holder(run.order.token)
        if identity is None:
            raise Unauthenticated("the pulse has ended")
        run.fence = identity.fence
        answer = await self._ask(life, of_agent(identity), method, params)
        if "before_sha256" in answer and self.laws.papers is not None:
            self.laws.papers.made(run.order.project_id, answer)
        return answer
