"""Locks on files under trio, on virtual time."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mission_control.storage import Deadline
from mission_control.storage.files import FileLocks, LockTimeout
from mission_control.storage.files._locks import Hold, NestedHold

TASKS, FILES = 1_000, 100
A, B = ("src", "a"), ("src", "b")


async def keep(hold: Hold, seconds: float, done: Callable[[], object] = lambda: None) -> None:
    async with hold:
        await trio.sleep(seconds)
        done()


async def test_a_file_is_handed_on_in_the_order_of_asking(autojump_clock: MockClock) -> None:
    locks, order = FileLocks(timeout=1_000), list[int]()
    async with trio.open_nursery() as nursery:
        for number in range(200):
            hold = locks.hold("alpha", [A], f"agent {number}")
            nursery.start_soon(keep, hold, 1, lambda number=number: order.append(number))
            await wait_all_tasks_blocked()
    assert order == list(range(200))
    assert not locks.list()


async def test_other_files_and_other_projects_are_not_held_up(autojump_clock: MockClock) -> None:
    locks, begin = FileLocks(), trio.current_time()
    async with trio.open_nursery() as nursery:
        for hold in (
            locks.hold("alpha", [A], "a"),
            locks.hold("alpha", [B], "b"),
            locks.hold("beta", [A], "c"),
            locks.hold_project("gamma", "d"),
        ):
            nursery.start_soon(keep, hold, 1)
    assert trio.current_time() - begin == 1


async def test_spellings_of_one_file_have_one_lock(autojump_clock: MockClock) -> None:
    locks, begin = FileLocks(), trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep, locks.hold("alpha", [("src", "straße")], "a"), 1)
        nursery.start_soon(keep, locks.hold("alpha", [("SRC", "STRASSE")], "b"), 1)
    assert trio.current_time() - begin == 2


async def test_a_whole_project_waits_for_its_files_and_goes_before_later_ones(
    autojump_clock: MockClock,
) -> None:
    locks, order = FileLocks(), list[str]()
    holds = {
        "file": locks.hold("alpha", [A], "file"),
        "project": locks.hold_project("alpha", "project"),
        "later": locks.hold("alpha", [B], "later"),
    }
    async with trio.open_nursery() as nursery:
        for name, hold in holds.items():
            nursery.start_soon(keep, hold, 1, lambda name=name: order.append(name))
            await wait_all_tasks_blocked()
    assert order == ["file", "project", "later"]


async def test_two_files_in_opposite_order_do_not_deadlock(autojump_clock: MockClock) -> None:
    locks, done = FileLocks(timeout=10_000), 0

    def count() -> None:
        nonlocal done
        done += 1

    async with trio.open_nursery() as nursery:
        for number in range(1_000):
            files = [A, B] if number % 2 else [B, A]
            nursery.start_soon(keep, locks.hold("alpha", files, str(number)), 0.5, count)
    assert done == 1_000


async def test_who_waits_too_long_is_told_for_whom(autojump_clock: MockClock) -> None:
    locks = FileLocks()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep, locks.hold("alpha", [A], "agent coder:alpha"), 100)
        await wait_all_tasks_blocked()
        await trio.sleep(5)
        begin = trio.current_time()
        with pytest.raises(LockTimeout, match=r"src/a is in use by agent coder:alpha, for 35 s"):
            await keep(locks.hold("alpha", [B, A], "agent b"), 0)
        assert trio.current_time() - begin == 30
        # It let go of the other file too.
        assert {info.holder for info in locks.list()} == {"agent coder:alpha"}
        assert all(not info.queue for info in locks.list())


async def test_the_deadline_is_for_all_files_together(autojump_clock: MockClock) -> None:
    locks = FileLocks(timeout=10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep, locks.hold("alpha", [A], "a"), 6)
        nursery.start_soon(keep, locks.hold("alpha", [B], "b"), 12)
        await wait_all_tasks_blocked()
        begin = trio.current_time()
        with pytest.raises(LockTimeout) as refused:
            await keep(locks.hold("alpha", [A, B], "c"), 0)
        assert trio.current_time() - begin == 10
    wire = refused.value.to_wire()
    assert isinstance(refused.value, Deadline)
    assert wire["data"] == {
        "kind": "lock_timeout", "retryable": True,
        "path": "src/b", "holder": "b", "held_s": 10, "waited_s": 10,
    }  # fmt: skip


async def test_a_lock_ends_with_its_block_however_that_ends(autojump_clock: MockClock) -> None:
    locks = FileLocks()
    with pytest.raises(ZeroDivisionError):
        await keep(locks.hold("alpha", [A], "a"), 1, lambda: 1 // 0)
    assert not locks.list()
    with trio.move_on_after(1):
        await keep(locks.hold("alpha", [A], "a"), 10)
    assert not locks.list()
    with trio.CancelScope() as scope:
        scope.cancel()
        await keep(locks.hold("alpha", [A], "a"), 10)
    assert not locks.list()


async def test_to_ask_for_more_while_holding_is_refused() -> None:
    locks = FileLocks()
    async with locks.hold("alpha", [A], "a"):
        with pytest.raises(NestedHold):
            await keep(locks.hold("alpha", [B], "a"), 0)
        assert len(locks.list()) == 2
    await keep(locks.hold("alpha", [B], "a"), 0)


async def test_an_acquisition_is_always_a_checkpoint() -> None:
    locks = FileLocks()
    with trio.testing.assert_checkpoints():
        await keep(locks.hold("alpha", [A], "a"), 0)
    with trio.testing.assert_checkpoints():
        async with locks.hold("alpha", [A], "a"):
            pass


@pytest.mark.parametrize("seed", range(3))
async def test_a_storm_of_cancellations_leaves_nothing_and_keeps_the_order(
    seed: int, autojump_clock: MockClock
) -> None:
    rng = random.Random(seed)  # noqa: S311 - to be repeatable
    locks = FileLocks(timeout=40)
    inside: defaultdict[str, int] = defaultdict(int)
    asked: defaultdict[str, list[int]] = defaultdict(list)
    got: defaultdict[str, list[int]] = defaultdict(list)
    timeouts = 0

    async def work(number: int, patience: float) -> None:
        nonlocal timeouts
        with trio.move_on_after(patience):
            for turn in range(3):
                files = rng.sample(range(FILES), rng.choice((1, 1, 2)))
                keys = [f"src/{file}" for file in files]
                hold = locks.hold("alpha", [("src", str(file)) for file in files], str(number))
                if rng.random() < 0.02:
                    keys, hold = ["."], locks.hold_project("alpha", str(number))
                ask = number * 10 + turn
                for key in keys:
                    asked[key].append(ask)
                try:
                    async with hold:
                        for key in keys:
                            got[key].append(ask)
                            inside[key] += 1
                            assert inside[key] == 1
                        assert not inside["."] or sum(inside.values()) == 1
                        try:
                            await trio.sleep(rng.random())
                        finally:
                            for key in keys:
                                inside[key] -= 1
                except LockTimeout:
                    timeouts += 1

    async with trio.open_nursery() as nursery:
        for number in range(TASKS):
            nursery.start_soon(work, number, rng.choice((0, 0.5, 5, 50, 500)))
    assert not locks.list()
    assert len(locks.table) == 0
    for key, order in got.items():
        place = {ask: position for position, ask in enumerate(asked[key])}
        assert sorted(order, key=place.__getitem__) == order, key
    assert sum(map(len, got.values())) > TASKS
