"""Who is told of changes: each everything, once, in order, at the cost of a page or a buffer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from mission_control.actors import Lagged, PlaceGone, Subscription
from mission_control.actors._fanout import Fanout
from mission_control.actors._feed import Committed, Feed, LowWater, Message, Subscribe
from mission_control.storage import Change
from mission_control.storage import commands as c
from mission_control.storage.history import archive_log
from mission_control.supervisor import ChildSpec, Intensity, open_system
from storage_bench import Bench, open_bench

PAGE = "mission_control.actors._fanout.PAGE"
BUFFER = "mission_control.actors._fanout.BUFFER"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_bench(tmp_path / "a.db") as opened:
        opened.project()
        yield opened


@pytest.fixture
def fanout(bench: Bench) -> Fanout:
    return Fanout(bench.reads, told=bench.reads.last_seq())


def write(bench: Bench, count: int) -> None:
    for number in range(count):
        bench.do(c.RenameProject("p", f"name {number}"))


def hand_on(fanout: Fanout) -> None:
    while changes := fanout.reads.changes(fanout.told):
        fanout.tell(changes)


async def take(subscription: Subscription, count: int) -> list[int]:
    told: list[int] = []
    with trio.fail_after(60):
        while len(told) < count:
            told.append((await subscription.__anext__()).seq)
    return told


async def test_who_is_far_behind_holds_a_page_at_most(
    bench: Bench, fanout: Fanout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PAGE, 10)
    write(bench, 95)
    hand_on(fanout)
    told: list[int] = []
    async with fanout.subscribe(0) as subscription:
        for _ in range(96):
            told += await take(subscription, 1)
            assert len(subscription._page) <= 10
        assert told == list(range(1, 97))


async def test_who_catches_up_while_others_write_misses_and_repeats_nothing(
    bench: Bench, fanout: Fanout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PAGE, 5)
    write(bench, 40)
    hand_on(fanout)
    told: list[int] = []
    async with fanout.subscribe(0) as subscription:
        while len(told) < 131:
            told += await take(subscription, 1)
            if len(told) < 91:
                write(bench, 1)
                if len(told) % 3 == 0:  # most of the time the feed is late
                    hand_on(fanout)
            else:
                hand_on(fanout)
    assert told == list(range(1, 132))


async def test_what_the_feed_has_not_handed_on_yet_is_not_told_twice(
    bench: Bench, fanout: Fanout
) -> None:
    write(bench, 3)
    hand_on(fanout)
    write(bench, 2)  # committed, and the feed has yet to hear of it
    async with fanout.subscribe(2) as subscription:
        assert await take(subscription, 2) == [3, 4]
        hand_on(fanout)
        assert await take(subscription, 2) == [5, 6]


async def test_who_leaves_too_much_lying_is_let_go_and_disturbs_nobody(
    bench: Bench, fanout: Fanout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BUFFER, 10)
    async with fanout.subscribe(None) as slow, fanout.subscribe(None) as quick:
        for _ in range(11):
            write(bench, 1)
            hand_on(fanout)
            await take(quick, 1)
        assert await take(slow, 10) == list(range(2, 12))
        with pytest.raises(Lagged) as lagged:
            await take(slow, 1)
        assert lagged.value.args == (11,)
        async with fanout.subscribe(11) as again:
            assert await take(again, 1) == [12]


@pytest.mark.parametrize("after", [-1, 9, 1 << 40])
async def test_a_place_that_the_log_does_not_have_is_refused(fanout: Fanout, after: int) -> None:
    with pytest.raises(PlaceGone, match="read a snapshot"):
        fanout.subscribe(after)


def trim(bench: Bench, archive: Path, up_to: int) -> None:
    segment = archive_log(bench.path, archive, before_us=1 << 62, up_to=up_to)
    assert segment is not None
    while bench.do(c.TrimLog(segment)):
        pass


async def test_the_log_is_given_up_as_far_as_everybody_was_told(
    bench: Bench, fanout: Fanout, tmp_path: Path
) -> None:
    write(bench, 20)
    hand_on(fanout)
    async with fanout.subscribe(5) as subscription:
        assert (fanout.low_water(), fanout.give_up(6)) == (5, False)
        await take(subscription, 5)
        assert (fanout.low_water(), fanout.give_up(6)) == (10, True)
        with pytest.raises(PlaceGone):
            fanout.subscribe(5)  # though nothing has been trimmed yet
        trim(bench, tmp_path, 6)
        assert await take(subscription, 11) == list(range(11, 22))
    with pytest.raises(PlaceGone):
        Fanout(bench.reads, told=21).subscribe(5)
    async with fanout.subscribe(6) as subscription:
        assert await take(subscription, 1) == [7]
    assert fanout.low_water() == 21, "who is gone holds up nothing"


async def test_who_was_overtaken_by_a_trim_is_let_go_rather_than_told_with_a_gap(
    bench: Bench, fanout: Fanout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PAGE, 5)
    write(bench, 40)
    hand_on(fanout)
    async with fanout.subscribe(0) as far, fanout.subscribe(20) as further:
        await take(far, 5)
        trim(bench, tmp_path, 38)
        with pytest.raises(Lagged):
            await take(far, 1)
        with pytest.raises(Lagged):
            await take(further, 1)


# The feed itself, killed and failing.


async def ask(ref: object, message: Message) -> object:
    return await ref.ask(message, timeout=60)  # type: ignore[attr-defined]


@pytest.mark.parametrize("end", ["kill", "stop", "crash"])
async def test_a_feed_that_is_started_again_leaves_no_gap_and_repeats_nothing(
    bench: Bench, end: str
) -> None:
    fanout = Fanout(bench.reads)
    heard: list[int] = []
    told: list[int] = []
    failures = iter([False, True, False, True, True, *[False] * 1000])

    def on_changes(changes: list[Change]) -> None:
        if end == "crash" and next(failures):
            raise RuntimeError("planted")
        heard.extend(change.seq for change in changes)

    async with open_system("test", intensity=Intensity(50, period=60.0)) as system:
        spec = ChildSpec("feed", Feed, args=(fanout, on_changes), register="feed")
        ref = await system.root.start_child(spec)
        assert ref is not None
        subscription = await ask(ref, Subscribe())
        assert isinstance(subscription, Subscription)
        async with subscription:
            for _ in range(5):
                write(bench, 3)
                ref.tell(Committed())
                if end == "kill":
                    ref.kill()
                if end == "stop":
                    await system.root.terminate_child("feed")
                write(bench, 2)
                if end == "stop":
                    await system.root.restart_child("feed")
                ref.tell(Committed())
                told += await take(subscription, 5)
            assert told == list(range(2, 27))
            assert await ask(ref, LowWater()) == 26
    assert sorted(set(heard)) == list(range(2, 27))
