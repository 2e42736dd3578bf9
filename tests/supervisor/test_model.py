"""Random trees in random trouble end up as OTP's rules have it (`otp_model`).

A quick run draws the same examples every time; `HYPOTHESIS_PROFILE=deep` draws many others.
"""

from __future__ import annotations

import copy
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from mission_control.supervisor import StartFailed, SupervisorRef
from otp_model import World
from otp_records import Act, Call, Noted, Plan, Process

from .real_tree import RealTree, specify
from .stage import Stage, settle
from .trees import Burst, Spoil, Step, Wait, named, spoils, steps, trees, workers_of

settings.register_profile("quick", max_examples=500, derandomize=True, database=None)
settings.register_profile("deep", max_examples=10_000)
model_test = settings(
    settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick")),
    deadline=None,
    # The fixture is the order of batches, and the same for all examples.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # for the deep profile
@model_test
@given(trees, st.none() | spoils, st.lists(steps, max_size=12))
def test_any_tree_in_any_trouble_is_as_the_rules_say(
    plan: Plan, spoil: Spoil | None, script: list[Step]
) -> None:
    async def play() -> None:
        async with stage.system() as system:
            comparison = Comparison(RealTree(stage), [World(plan)], system.root)
            if spoil is not None:
                comparison.spoil(spoil, workers_of(plan))
            if not await comparison.open(plan):
                return
            for step in script:
                if not await comparison.step(step):
                    return
            await comparison.close()

    stage = Stage()
    trio.run(play, clock=MockClock(autojump_threshold=0))


@attrs.define
class Comparison:
    """A tree that runs, and the worlds of the model that look like it so far."""

    real: RealTree
    worlds: list[World]
    root: SupervisorRef
    top: SupervisorRef = attrs.field(init=False)
    serial: int = 0

    async def open(self, plan: Plan) -> bool:
        """Start the tree; False if it does not."""
        try:
            ref = await self.root.start_child(specify(self.real.stage, plan))
        except StartFailed:
            ref = None
        opened = [world.open() for world in self.worlds]
        assert opened == [ref is not None]
        if ref is None:
            return False
        assert isinstance(ref, SupervisorRef)
        self.top = ref
        self.real.refs[plan.id] = ref
        await self.compare()
        return True

    async def close(self) -> None:
        """Stop the tree."""
        await self.root.terminate_child(self.top)
        for world in self.worlds:
            world.close()
        await self.compare()

    async def step(self, step: Step) -> bool:
        """Do a step here and there; False when nothing more can be compared."""
        match step:
            case Wait(seconds):
                await trio.sleep(seconds)
                for world in self.worlds:
                    world.wait(seconds)
            case Spoil():
                children = [c for p in self.worlds[0].supervisors() for c in p.children.values()]
                workers = [child.plan.id for child in children if child.plan.rules is None]
                self.spoil(step, workers)
            case Burst():
                supervisor, acts = self._choose(step)
                await self._perform(supervisor, acts)
                orders = list(_orders(self.worlds[0], supervisor, acts))
                self.worlds = [_after(w, supervisor, *o) for w in self.worlds for o in orders]
        if any(world.tangled for world in self.worlds):
            return False
        await self.compare()
        return self.top.alive

    async def compare(self) -> None:
        """Keep the worlds that look like what is seen: there must be one."""
        await settle()
        view = await self.real.look(self.top) if self.top.alive else {}
        journal = self.real.stage.take_journal()
        seen = (view, self.real.take_reports(), self.real.take_answers())
        alike = [w for w in self.worlds if _in_order(w.journal, journal) and _seen_in(w) == seen]
        if not alike:
            rules = "".join(f"\nrule: {w.journal} {_seen_in(w)}" for w in self.worlds)
            pytest.fail(f"seen: {journal} {seen}{rules}")
        self.worlds = list({world.secrets(): world for world in alike}.values())
        for world in self.worlds:
            world.forget()

    def spoil(self, spoil: Spoil, workers: list[str]) -> None:
        """Spoil a child's next starts here and there."""
        if not workers:
            return
        child_id = workers[spoil.child % len(workers)]
        self.real.stage.knob(child_id, fail_next=spoil.times, ignore_next=not spoil.times)
        for world in self.worlds:
            world.spoil(child_id, spoil.times)

    async def _perform(self, supervisor: str, acts: Sequence[Act]) -> None:
        async with trio.open_nursery() as nursery:
            for act in acts:
                match act:
                    case Call():
                        nursery.start_soon(self.real.call, supervisor, act)
                    case child_id, how:
                        self.real.end(child_id, how)

    def _choose(self, burst: Burst) -> tuple[str, list[Act]]:
        """Find out whom a burst is about."""
        supervisors = list(self.worlds[0].supervisors())
        sup = supervisors[burst.supervisor % len(supervisors)]
        chosen: dict[object, Act] = {}
        for act in self._acts(sup, burst):
            match act:
                # What takes its time, and what may outlive its supervisor, happens alone.
                case Call() if sup is not supervisors[0]:
                    return sup.child.plan.id, [act]
                case child_id, _ if sup.children[child_id].plan.rules is not None:
                    return sup.child.plan.id, [act]
                case Call():
                    chosen[act.number] = act
                case child_id, _:
                    chosen[child_id] = act
        return sup.child.plan.id, list(chosen.values())

    def _acts(self, sup: Process, burst: Burst) -> Iterator[Act]:
        running = [child.plan for child in sup.children.values() if child.process is not None]
        known = [child.plan for child in sup.children.values()]
        if sup.rules.template is None:
            known.append(Plan("nobody"))
        for verb, which in burst.acts:
            self.serial += 1
            match verb:
                case "start":
                    yield Call(self.serial, "start", self._newcomer(sup, burst))
                case "again" if sup.children and sup.rules.template is None:
                    yield Call(self.serial, "start", known[which % len(sup.children)])
                case "terminate" | "restart" | "delete" if known:
                    yield Call(self.serial, verb, known[which % len(known)])
                case "crash" | "finish" | "shutdown" | "kill" if running:
                    plan = running[which % len(running)]
                    yield plan.id, verb if plan.rules is None or verb == "kill" else "shutdown"
                case _:
                    pass  # there is nobody for it

    def _newcomer(self, sup: Process, burst: Burst) -> Plan:
        template = sup.rules.template
        if template is not None:
            return attrs.evolve(template, id=f"#{self.serial}")
        return named(burst.newcomer, f"new{self.serial}")


def _orders(
    world: World, supervisor: str, acts: Sequence[Act]
) -> Iterator[tuple[Sequence[Act], Sequence[bool]]]:
    """Yield all orders, and after which acts the supervisor may have its turn at once."""
    sup = next(each for each in world.supervisors() if each.child.plan.id == supervisor)
    for order in itertools.permutations(acts):
        may = [
            isinstance(act, Call)
            or (sup.children[act[0]].plan.bare and sup.rules.strategy == "one_for_one")
            for act in order
        ]
        for turns in itertools.product(*([False, True] if each else [False] for each in may)):
            yield order, turns


def _after(world: World, supervisor: str, acts: Sequence[Act], turns: Sequence[bool]) -> World:
    after = copy.deepcopy(world)
    after.happen(supervisor, acts, turns)
    return after


def _seen_in(world: World) -> Any:
    view = {
        process.child.plan.id: (
            [(c.plan.id, c.state, c.incarnation) for c in reversed(process.children.values())],
            process.counts(),
        )
        for process in world.supervisors()
    }
    # A child of a template that does not start is known by the template's id only.
    reports = [re.sub(r"^#\d+ did not", "p did not", report) for report in world.reports]
    return view, sorted(reports), world.answers


def _in_order(expected: list[Noted], seen: list[str]) -> bool:
    rest = iter(seen)
    for noted in expected:
        lines = [noted] if isinstance(noted, str) else list(noted)
        if sorted(itertools.islice(rest, len(lines))) != lines:
            return False
    return next(rest, None) is None
