"""Places for pulses: so many in all, so many a project, and every project in its turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from mission_control.actors._slots import (
    Acquire,
    HowFull,
    HowLong,
    Line,
    Places,
    Release,
    Slots,
)
from mission_control.storage import Reads
from mission_control.supervisor import ChildSpec, Ref, open_system


@attrs.define
class Crowd:
    """Those who ask for places, and the order in which they were given some."""

    slots: Ref[object]
    nursery: trio.Nursery
    given: list[str] = attrs.field(factory=list)

    async def ask(self, *holders: str) -> None:
        """Let *holders* (`<who>:<project>`) ask in this order."""
        for holder in holders:
            self.nursery.start_soon(self._wait, holder)
            await wait_all_tasks_blocked()

    async def leave(self, holder: str) -> None:
        self.slots.tell(Release(holder))
        await wait_all_tasks_blocked()

    async def line(self) -> Line:
        line: Line = await self.slots.ask(HowLong())
        return line

    async def _wait(self, holder: str) -> None:
        await self.slots.ask(Acquire(holder, holder.partition(":")[2]), timeout=None)
        self.given.append(holder)


@asynccontextmanager
async def crowd(in_all: int, per_project: int) -> AsyncIterator[Crowd]:
    async with open_system("test") as system:
        args = (Reads(Path("not asked")), Places({}), in_all, per_project)
        slots = await system.root.start_child(ChildSpec("slots", Slots, args=args))
        async with trio.open_nursery() as nursery:
            yield Crowd(slots, nursery)
            nursery.cancel_scope.cancel()


async def test_within_a_project_whoever_asked_first_is_first(autojump_clock: MockClock) -> None:
    async with crowd(1, 1) as here:
        await here.ask("a:p", "b:p", "c:p")
        assert here.given == ["a:p"]
        assert await here.line() == Line(("a:p",), ("b:p", "c:p"))
        await here.leave("a:p")
        await here.leave("b:p")
        assert here.given == ["a:p", "b:p", "c:p"]


async def test_a_project_with_many_agents_does_not_make_another_wait_for_all_of_them(
    autojump_clock: MockClock,
) -> None:
    async with crowd(1, 1) as here:
        await here.ask("a:big", "b:big", "c:big", "d:big", "a:small", "b:small", "a:new")
        for _ in range(6):
            await here.leave(here.given[-1])
        assert here.given == ["a:big", "a:small", "a:new", "b:big", "b:small", "c:big", "d:big"]


async def test_the_line_tells_in_which_order_places_will_be_given(
    autojump_clock: MockClock,
) -> None:
    async with crowd(1, 1) as here:
        await here.ask("a:big", "b:big", "c:big", "a:small", "b:small")
        waiting = (await here.line()).waiting
        assert (await here.line()).place("b:big") == 2
        assert (await here.line()).place("a:big") is None
        for _ in waiting:
            await here.leave(here.given[-1])
        assert here.given == ["a:big", *waiting]


async def test_a_project_at_its_cap_holds_up_nobody_else(autojump_clock: MockClock) -> None:
    async with crowd(3, 2) as here:
        await here.ask("a:p", "b:p", "c:p", "a:q")
        assert here.given == ["a:p", "b:p", "a:q"]
        await here.leave("a:q")
        assert here.given == ["a:p", "b:p", "a:q"], "its project has two places already"
        await here.leave("b:p")
        assert here.given[-1] == "c:p"


async def test_whoever_gives_up_waiting_is_passed_over(autojump_clock: MockClock) -> None:
    async with crowd(1, 1) as here:
        await here.ask("a:p", "b:p", "c:q")
        await here.leave("b:p")
        assert (await here.line()).waiting == ("c:q",)
        with trio.move_on_after(1):
            await here.slots.ask(Acquire("d:r", "r"), timeout=None)
        await here.leave("a:p")
        await here.leave("c:q")
        assert await here.slots.ask(HowFull()) == []


async def test_an_agent_that_asks_again_has_one_place(autojump_clock: MockClock) -> None:
    async with crowd(2, 2) as here:
        await here.ask("a:p", "a:p")
        assert await here.slots.ask(HowFull()) == ["a:p"]
        await here.leave("a:p")
        assert await here.slots.ask(HowFull()) == []


HOLDERS = [f"{soul}:{project}" for project in "pqr" for soul in "abcd"]


@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.lists(st.tuples(st.booleans(), st.sampled_from(HOLDERS)), max_size=40),
)
def test_caps_hold_and_no_place_stays_empty_that_somebody_may_have(
    in_all: int, per_project: int, steps: list[tuple[bool, str]]
) -> None:
    async def scenario() -> None:
        async with crowd(in_all, per_project) as here:
            for asks, holder in steps:
                await (here.ask(holder) if asks else here.leave(holder))
                line = await here.line()
                held = [each.partition(":")[2] for each in line.holders]
                assert len(held) <= in_all
                assert all(held.count(project) <= per_project for project in held)
                for each in line.waiting:
                    full = held.count(each.partition(":")[2]) == per_project
                    assert full or len(held) == in_all

    trio.run(scenario)
