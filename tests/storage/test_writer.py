"""The writer, on its real thread: groups, refusals, retries, and disks that fail."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import attrs
import pytest
import trio
import trio.testing

from mission_control.storage import (
    STORAGE,
    Command,
    Conflict,
    Forbidden,
    Internal,
    Invalid,
    Limited,
    NotFound,
    Project,
    Reads,
    StorageActor,
    StorageCondition,
    StorageFailed,
    Store,
    Transaction,
    Unavailable,
    WallClock,
    Write,
    Writer,
    migrate,
    open_reader,
    open_writer,
)
from mission_control.storage import commands as c
from mission_control.storage._actor import MAX_PENDING
from mission_control.storage._pace import MAX_GROUP, Pace
from mission_control.storage._watch import WAL_LIMIT_BYTES
from mission_control.supervisor import ChildSpec, System, open_system
from storage_bench import Desk, Reply

ATE = "a text that fills the disk " * 50_000


@attrs.define
class Bed:
    """A writer that has not been started, so that a test decides what its first group is."""

    path: Path
    connection: sqlite3.Connection
    desk: Desk
    failures: list[StorageFailed]
    condition: StorageCondition
    commits: list[int] = attrs.field(factory=list)
    """How many of the replies were settled at each commit's notice."""
    replies: list[Reply] = attrs.field(factory=list)
    statements: list[str] = attrs.field(factory=list)

    def submit(self, command: Command[Any], key: str | None = None, **how: Any) -> Reply:
        reply = Reply(**how)
        self.replies.append(reply)
        return self.desk.submit(command, key, reply)

    def start(self) -> None:
        self.desk.writer.start()

    @property
    def transactions(self) -> int:
        return self.statements.count("COMMIT")


@asynccontextmanager
async def _made(path: Path, pace: Pace | None = None) -> AsyncIterator[Bed]:
    connection = open_writer(path)
    migrate(connection)
    failures: list[StorageFailed] = []
    condition = StorageCondition()
    writer = Writer(
        connection,
        on_commit=lambda: made.commits.append(sum(reply.settled for reply in made.replies)),
        on_failure=failures.append,
        condition=condition,
        pace=pace,
    )
    made = Bed(path, connection, Desk(writer), failures, condition)
    connection.set_trace_callback(made.statements.append)
    try:
        yield made
    finally:
        with trio.CancelScope(shield=True):
            await writer.close()


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    async with _made(tmp_path / "a.db") as made:
        made.submit(c.InitProject("P"))
        yield made


@pytest.fixture
def reads(bed: Bed) -> Iterator[Reads]:
    reads = Reads(bed.path)
    yield reads
    reads.close()


@attrs.frozen
class Misbehave(Command[None]):
    """Writes something, and then does what no command should."""

    how: str

    RESULT: ClassVar[Any] = None

    def apply(self, tx: Transaction) -> None:
        c.InitProject("Half").apply(tx)
        match self.how:
            case "a bug":
                raise ZeroDivisionError
            case "bad sql":
                tx.connection.execute("SELECT * FROM nowhere")
            case "a clash":
                tx.connection.execute("INSERT INTO meta VALUES('a', 'b'), ('a', 'c')")
            case "half a character":
                c.InitProject("P \ud800").apply(tx)
            case "a huge number":
                c.CreateTask("p", "one", due_at=1 << 70).apply(tx)
            case _:
                raise AssertionError(self.how)


async def test_commands_that_queue_share_one_transaction(bed: Bed, reads: Reads) -> None:
    made = [bed.submit(c.CreateTask("p", f"task {number}")) for number in range(20)]
    bed.start()
    ids = [(await reply.outcome()).id for reply in made]
    assert bed.transactions == 1
    assert {task.id for task in reads.board("p")} == set(ids)


async def test_those_who_were_answered_together_write_again_in_one_group(tmp_path: Path) -> None:
    slow = Pace()
    slow.note(1, 0.0, 60.0)  # a disk that is all the time there is
    async with _made(tmp_path / "a.db", slow) as bed:

        async def write_often() -> None:
            for number in range(3):
                await bed.submit(c.InstallSoul(f"soul-{number}", "0" * 64)).outcome()

        bed.start()
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(write_often)
        assert bed.transactions == 3


async def test_half_of_those_who_wait_are_answered_while_the_others_are_written(
    tmp_path: Path,
) -> None:
    quick = Pace()
    quick.note(1, 60.0, 0.0)  # a disk that is nothing against the commands
    async with _made(tmp_path / "a.db", quick) as bed:
        made = [bed.submit(c.InstallSoul(f"soul-{number}", "0" * 64)) for number in range(40)]
        bed.start()
        for reply in made:
            await reply.outcome()
        assert bed.transactions == 2
        assert bed.commits == [0, 20]


async def test_who_is_committed_is_answered_though_nobody_after_can_begin(tmp_path: Path) -> None:
    async with _made(tmp_path / "a.db") as bed:
        bed.connection.execute("PRAGMA busy_timeout=20")
        other = sqlite3.connect(bed.path, isolation_level=None, check_same_thread=False)
        kept: list[int] = []

        def notice(statement: str) -> None:
            bed.statements.append(statement)
            if statement == "BEGIN IMMEDIATE":
                kept.append(len(bed.desk.writer._unanswered))
                if len(kept) == 2:
                    other.execute("BEGIN IMMEDIATE")

        bed.connection.set_trace_callback(notice)
        made = [
            bed.submit(c.InstallSoul(f"soul-{number}", "0" * 64)) for number in range(MAX_GROUP * 3)
        ]
        bed.start()
        await made[0].outcome()
        for reply in made[MAX_GROUP:]:
            with pytest.raises(Unavailable, match="another process"):
                await reply.outcome()
        other.close()
        assert kept == [0, MAX_GROUP, 0]


async def test_more_than_a_group_is_handed_over_before_the_next_pass(bed: Bed) -> None:
    made = [bed.submit(c.CreateTask("p", "many")) for _ in range(MAX_GROUP + 1)]
    bed.start()
    for reply in made:
        await reply.outcome()
    assert bed.transactions == 2


async def test_the_feed_hears_of_a_commit_before_any_asker_has_an_answer(bed: Bed) -> None:
    reply = bed.submit(c.CreateTask("p", "one"))
    bed.start()
    await reply.outcome()
    assert bed.commits == [0]


async def test_an_answer_comes_when_others_can_see_the_change(bed: Bed, reads: Reads) -> None:
    seen: list[str] = []

    class Looking(Reply):
        def answer(self, value: Any) -> None:
            seen.append(reads.task(value.id).title)
            super().answer(value)

    looking = bed.desk.submit(c.CreateTask("p", "one"), reply=Looking())
    bed.start()
    await looking.outcome()
    assert seen == ["one"]


async def test_a_refused_command_does_not_disturb_its_neighbours(bed: Bed, reads: Reads) -> None:
    before = bed.submit(c.CreateTask("p", "before"))
    wrong = bed.submit(c.CreateTask("p", "wrong", depends_on=("nowhere",)))
    after = bed.submit(c.CreateTask("p", "after"))
    bed.start()
    with pytest.raises(NotFound):
        await wrong.outcome()
    await before.outcome()
    await after.outcome()
    assert [task.title for task in reads.board("p")] == ["before", "after"]
    assert [change.seq for change in reads.changes(0)] == [1, 2, 3, 4, 5]
    assert bed.transactions == 1


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("a bug", ZeroDivisionError),
        ("bad sql", Internal),
        ("a clash", Conflict),
        ("half a character", Invalid),
        ("a huge number", Invalid),
    ],
)
async def test_a_command_that_misbehaves_fails_alone(
    bed: Bed, reads: Reads, how: str, kind: type[Exception]
) -> None:
    before = bed.submit(c.CreateTask("p", "before"))
    wrong = bed.submit(Misbehave(how))
    after = bed.submit(c.CreateTask("p", "after"))
    bed.start()
    with pytest.raises(kind):
        await wrong.outcome()
    await before.outcome()
    await after.outcome()
    assert (await bed.desk.do(c.CreateTask("p", "later"))).title == "later"
    assert [project.id for project in reads.projects()] == ["p"]
    assert bed.failures == []


async def test_the_same_key_gives_the_same_answer_and_no_second_effect(
    bed: Bed, reads: Reads
) -> None:
    command = c.CreateTask("p", "one", labels=("a",), side_effects=True)
    bed.submit(command, "key")
    twin = bed.submit(command, "key")
    bed.start()
    first, same = await bed.replies[1].outcome(), await twin.outcome()
    assert first == same
    assert await bed.desk.do(command, "key") == first
    assert len(reads.board("p")) == 1
    assert await bed.desk.do(c.CreateTask("p", "one"), "other key") != first


async def test_an_answer_of_nothing_is_remembered_too(bed: Bed) -> None:
    bed.start()
    await bed.desk.do(c.InstallSoul("shuri", "x"))
    await bed.desk.do(c.CreateAgent("p", "shuri", 60.0, 300.0, 3))
    begin = c.BeginPulse("shuri:p", "process")
    assert await bed.desk.do(begin, "key") is None
    await bed.desk.do(c.CreateTask("p", "one", "shuri"))
    assert await bed.desk.do(begin, "key") is None
    pulse = await bed.desk.do(begin, "other key")
    assert pulse is not None
    assert await bed.desk.do(begin, "other key") == pulse


@pytest.mark.parametrize("other", [c.CreateTask("p", "two"), c.InitProject("one")])
async def test_a_key_that_was_used_for_something_else_is_refused(
    bed: Bed, other: Command[Any]
) -> None:
    bed.start()
    await bed.desk.do(c.CreateTask("p", "one"), "key")
    with pytest.raises(Conflict) as refusal:
        await bed.desk.do(other, "key")
    assert refusal.value.details["field"] == "idempotency_key"


async def test_a_refusal_is_not_remembered(bed: Bed) -> None:
    bed.start()
    command = c.CreateTask("p", "one", "shuri")
    with pytest.raises(NotFound):
        await bed.desk.do(command, "key")
    await bed.desk.do(c.InstallSoul("shuri", "x"))
    await bed.desk.do(c.CreateAgent("p", "shuri", 60.0, 300.0, 3))
    assert (await bed.desk.do(command, "key")).assignee == "shuri"


async def test_a_command_whose_asker_went_away_is_withdrawn(bed: Bed, reads: Reads) -> None:
    gone = bed.submit(c.CreateTask("p", "gone"), abandoned=True)
    there = bed.submit(c.CreateTask("p", "there"))
    bed.start()
    await there.outcome()
    with pytest.raises(Unavailable, match="withdrawn"):
        await gone.outcome()
    assert [task.title for task in reads.board("p")] == ["there"]


async def test_a_full_disk_refuses_what_does_not_fit_and_takes_what_does(
    bed: Bed, reads: Reads
) -> None:
    (pages,) = bed.connection.execute("PRAGMA page_count").fetchone()
    bed.connection.execute(f"PRAGMA max_page_count={pages + 30}")
    small = bed.submit(c.CreateTask("p", "small"))
    large = bed.submit(c.CreateTask("p", "large", description=ATE))
    other = bed.submit(c.CreateTask("p", "other"))
    bed.start()
    with pytest.raises(Limited, match="disk is full") as refusal:
        await large.outcome()
    assert refusal.value.retry_after_ms
    await small.outcome()
    await other.outcome()
    assert [task.title for task in reads.board("p")] == ["small", "other"]
    assert bed.failures == []
    assert [change.seq for change in reads.changes(0)] == [1, 2, 3, 4, 5]


async def test_a_disk_that_cannot_be_written_ends_the_writer_and_is_reported_once(
    bed: Bed, reads: Reads
) -> None:
    bed.start()
    await bed.replies[0].outcome()
    bed.connection.execute("PRAGMA query_only=ON")
    lost = [bed.submit(c.CreateTask("p", f"task {number}")) for number in range(3)]
    for reply in (*lost, bed.submit(c.CreateTask("p", "later"))):
        with pytest.raises(StorageFailed):
            await reply.outcome()
    late = bed.submit(c.CreateTask("p", "too late"))
    with pytest.raises(StorageFailed):
        await late.outcome()
    assert len(bed.failures) == 1
    assert reads.board("p") == []
    assert isinstance(reads.project("p"), Project)


async def test_a_lock_held_by_another_process_is_named_and_waited_out(
    bed: Bed, reads: Reads
) -> None:
    bed.connection.execute("PRAGMA busy_timeout=20")
    other = sqlite3.connect(bed.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    reply = bed.submit(c.CreateTask("p", "one"))
    bed.start()
    with pytest.raises(Unavailable, match="write lock"):
        await reply.outcome()
    other.execute("ROLLBACK")
    other.close()
    await bed.desk.do(c.InitProject("P"))
    await bed.desk.do(c.CreateTask("p", "two"))
    assert [task.title for task in reads.board("p")] == ["two"]
    assert bed.failures == []


async def test_a_listener_that_fails_takes_nobody_s_answer_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def misbehave() -> None:
        raise ZeroDivisionError

    connection = open_writer(tmp_path / "a.db")
    migrate(connection)
    desk = Desk(Writer(connection, on_commit=misbehave, on_failure=lambda _: None))
    desk.writer.start()
    try:
        assert (await desk.do(c.InitProject("P"))).id == "p"
        assert (await desk.do(c.CreateTask("p", "one"))).title == "one"
    finally:
        with trio.CancelScope(shield=True):
            await desk.writer.close()
    assert "somebody who was told of a commit failed" in caplog.text


async def test_a_writer_that_breaks_down_leaves_nobody_waiting(bed: Bed) -> None:
    bed.start()
    await bed.replies[0].outcome()
    bed.connection.close()  # behind its back
    for _ in range(2):
        with pytest.raises(StorageFailed):
            await bed.submit(c.CreateTask("p", "one")).outcome()
    assert len(bed.failures) == 1


async def test_another_program_that_writes_is_noticed_and_told_of_once(
    bed: Bed, caplog: pytest.LogCaptureFixture
) -> None:
    bed.start()
    await bed.desk.do(c.CreateTask("p", "ours"))
    assert bed.condition.foreign_writes == 0
    other = sqlite3.connect(bed.path, isolation_level=None)
    for seen in (1, 2):
        other.execute("UPDATE projects SET name = name || '!'")
        await bed.desk.do(c.CreateTask("p", "ours"))
        assert bed.condition.foreign_writes == seen
    other.close()
    assert caplog.text.count("another program writes to a.db") == 1
    await bed.desk.do(c.CreateTask("p", "ours"))
    assert bed.condition.foreign_writes == 2


async def test_whose_a_card_is_is_looked_up_again_after_another_program_wrote(bed: Bed) -> None:
    bed.start()
    for soul in ("shuri", "okoye"):
        await bed.desk.do(c.InstallSoul(soul, "x"))
        await bed.desk.do(c.CreateAgent("p", soul, 60.0, 300.0, 3))
    task = await bed.desk.do(c.CreateTask("p", "one", "shuri"))
    mine = c.LogEvent(task.id, "mine", by_agent="shuri:p")
    await bed.desk.do(mine)
    with closing(sqlite3.connect(bed.path, isolation_level=None)) as other:
        other.execute("UPDATE tasks SET assignee = 'okoye'")
    with pytest.raises(Forbidden):
        await bed.desk.do(mine)


async def test_the_log_of_a_busy_writer_stays_small(bed: Bed) -> None:
    bed.start()
    for _ in range(60):
        await bed.desk.do(c.CreateTask("p", "large", description=ATE))
    written = bed.path.stat().st_size
    assert written > 100_000_000  # this much went through it
    assert bed.condition.wal_bytes < 40_000_000


async def test_a_log_that_a_long_read_holds_up_is_told_of_and_shrinks_when_it_ends(
    bed: Bed, caplog: pytest.LogCaptureFixture
) -> None:
    bed.start()
    await bed.replies[0].outcome()
    reader = open_reader(bed.path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM tasks").fetchall()
    for _ in range(36):
        await bed.desk.do(c.CreateTask("p", "large", description=ATE))
    assert bed.condition.wal_bytes > WAL_LIMIT_BYTES
    assert "cannot be emptied: somebody reads in one long transaction" in caplog.text
    assert caplog.text.count("has grown to") <= 3
    reader.close()
    while bed.condition.wal_bytes > WAL_LIMIT_BYTES:
        await bed.desk.do(c.CreateTask("p", "large", description=ATE))
    assert bed.failures == []


@attrs.frozen
class Hold(Command[None]):
    """Keeps the writer at it until the test says so."""

    begun: threading.Event
    go_on: threading.Event

    RESULT: ClassVar[Any] = None

    def apply(self, tx: Transaction) -> None:
        self.begun.set()
        assert self.go_on.wait(30)


@attrs.define
class Hand:
    """The storage actor in a system, with its writer held until it is let go."""

    store: Store
    system: System
    hold: Hold

    async def grab(self, nursery: trio.Nursery) -> None:
        nursery.start_soon(partial(self.store.write, self.hold, by="test"))
        await trio.to_thread.run_sync(self.hold.begun.wait, 30)

    def let_go(self) -> None:
        self.hold.go_on.set()


@asynccontextmanager
async def _acting(
    path: Path, actor: type[StorageActor] = StorageActor, lane: Literal["own", "shared"] = "shared"
) -> AsyncIterator[Hand]:
    hold = Hold(threading.Event(), threading.Event())
    async with open_system("test") as system:
        store = Store(system, WallClock())
        spec = ChildSpec(
            STORAGE,
            actor,
            args=(path, lambda: None, store.condition),
            register=STORAGE,
            lane=lane,
            interrupt=False,
            capacity=100,
            shutdown=30.0,
        )
        await system.root.start_child(spec)
        try:
            yield Hand(store, system, hold)
        finally:
            hold.go_on.set()


lanes = pytest.mark.parametrize("lane", ["own", "shared"])


@lanes
async def test_who_writes_too_much_at_once_waits_and_is_not_refused(
    tmp_path: Path, lane: Literal["own", "shared"]
) -> None:
    made: list[str] = []

    async def write(number: int) -> None:
        made.append((await hand.store.write(c.CreateTask("p", f"{number}"), by="test")).id)

    async with _acting(tmp_path / "a.db", lane=lane) as hand:
        await hand.store.write(c.InitProject("P"), by="test")
        async with trio.open_nursery() as nursery:
            await hand.grab(nursery)
            for number in range(MAX_PENDING + 300):
                nursery.start_soon(write, number)
            await trio.testing.wait_all_tasks_blocked()
            (storage,) = hand.system.tree().children
            assert storage.mailbox == 301  # the writer has its fill: these wait their turn
            assert made == []
            hand.let_go()
        assert len(set(made)) == MAX_PENDING + 300


@lanes
async def test_a_cancelled_write_is_withdrawn_unless_it_was_begun(
    tmp_path: Path, lane: Literal["own", "shared"]
) -> None:
    async with _acting(tmp_path / "a.db", lane=lane) as hand:
        await hand.store.write(c.InitProject("P"), by="test")
        async with trio.open_nursery() as nursery:
            await hand.grab(nursery)
            async with trio.open_nursery() as impatient:
                impatient.start_soon(partial(hand.store.write, c.CreateTask("p", "one"), by="test"))
                await trio.testing.wait_all_tasks_blocked()
                impatient.cancel_scope.cancel()
            hand.let_go()
        await hand.store.write(c.CreateTask("p", "two"), by="test")
        reads = Reads(tmp_path / "a.db")
        assert [task.title for task in reads.board("p")] == ["two"]
        reads.close()


def _writers() -> int:
    return [thread.name for thread in threading.enumerate()].count("storage-writer")


async def test_a_killed_storage_ends_its_writer_before_another_opens_the_file(
    tmp_path: Path,
) -> None:
    at_start: list[int] = []

    class Counting(StorageActor):
        async def started(self) -> None:
            at_start.append(_writers())
            await super().started()

    async with _acting(tmp_path / "a.db", Counting) as hand:
        project = await hand.store.write(c.InitProject("P"), by="test")
        storage = hand.system.whereis(STORAGE)
        assert storage is not None
        async with trio.open_nursery() as nursery:
            await hand.grab(nursery)
            nursery.start_soon(partial(hand.store.write, c.CreateTask("p", "queued"), by="test"))
            await trio.testing.wait_all_tasks_blocked()
            storage.kill()
            hand.let_go()
        await hand.store.write(c.CreateTask("p", "next"), by="test")
        assert at_start == [0, 0]
        assert _writers() == 1
        with closing(Reads(tmp_path / "a.db")) as reads:
            assert {task.title for task in reads.board(project.id)} == {"queued", "next"}
    assert _writers() == 0


async def test_keys_are_forgotten_in_small_steps_and_the_oldest_first(bed: Bed) -> None:
    rows = [(f"key {n}", n) for n in range(c.PURGED_AT_ONCE + 5)]
    bed.connection.execute("BEGIN")
    bed.connection.executemany(
        "INSERT INTO idempotency VALUES(?, 'CreateTask', 'x', 'null', ?)", rows
    )
    bed.connection.execute("COMMIT")
    bed.start()
    purge = c.PurgeIdempotency(before=c.PURGED_AT_ONCE + 3)
    reads = sqlite3.connect(bed.path)
    assert await bed.desk.do(purge) == c.PURGED_AT_ONCE
    left = reads.execute("SELECT at FROM idempotency ORDER BY at").fetchall()
    assert [at for (at,) in left] == [c.PURGED_AT_ONCE + n for n in range(5)]
    assert await bed.desk.do(purge) == 3
    assert await bed.desk.do(purge) == 0
    assert reads.execute("SELECT count(*) FROM idempotency").fetchone() == (2,)
    reads.close()
    again = c.CreateTask("p", "one")
    await bed.desk.do(again, "key 7")  # it was used for something else, and that is forgotten
    with pytest.raises(Conflict):
        await bed.desk.do(again, f"key {c.PURGED_AT_ONCE + 4}")


async def test_a_closing_writer_writes_what_it_was_given(tmp_path: Path) -> None:
    async with _made(tmp_path / "b.db") as bed:
        bed.start()
        bed.submit(c.InitProject("P"))
        for number in range(600):
            bed.submit(c.CreateTask("p", f"task {number}"))
        assert bed.desk.writer.pending == 601
        await bed.desk.writer.close()
        assert bed.desk.writer.pending == 0
        assert all(reply.settled and reply.error is None for reply in bed.replies)
        reads = Reads(bed.path)
        assert len(reads.board("p")) == 600
        reads.close()


async def test_a_name_that_no_log_can_hold_is_refused_alone(bed: Bed, reads: Reads) -> None:
    """The log's rows of a group are written together, after all commands of the group."""
    before = [bed.submit(c.CreateTask("p", f"task {n}")) for n in range(3)]
    odd = Reply()
    # Of all that it writes, only the log says who it was.
    rename = c.RenameProject("p", "odd")
    bed.desk.writer.submit(Write(rename, 1_767_225_700_000_000, "gateway:\ud800", 1), odd)
    after = [bed.submit(c.CreateTask("p", f"task {n}")) for n in range(3, 6)]
    bed.start()
    with pytest.raises(Invalid, match="cannot be stored"):
        await odd.outcome()
    for reply in (*before, *after):
        await reply.outcome()
    assert sorted(task.title for task in reads.board("p")) == [f"task {n}" for n in range(6)]
    assert reads.project("p").name == "P"
    changes = reads.changes(0)
    assert [change.seq for change in changes] == list(range(1, len(changes) + 1))
    assert not bed.failures
