"""The log as history: any place in it gives back the database as it was there."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backup_home import DATABASE, furnished
from log_tables import LOGGED, Images, images_in, images_of
from mission_control.storage import (
    US,
    Change,
    Conflict,
    Invalid,
    MissionError,
    NotFound,
    Reads,
)
from mission_control.storage import commands as c
from mission_control.storage._table import _TABLES
from mission_control.storage.backups import Backups
from mission_control.storage.history import (
    Cursor,
    LogDamaged,
    LogGap,
    State,
    apply_change,
    archive_log,
    erasing,
    fold,
    parse_moment,
    read_log,
    seq_at,
)
from random_history import ALL_STEPS, PROJECTS, command_of, furnish
from storage_bench import Bench, open_bench

KEYED = st.tuples(ALL_STEPS, st.none() | st.sampled_from(["key 1", "key 2"]), st.integers(1, 2))
"""A step, its idempotency key, and how often its command is sent."""

NOWHERE = Path("no such folder")
FOR_EVER = 1 << 62


STORY: list[tuple[tuple[Any, ...], str | None, int]] = [
    (step, None, 1)
    for step in (
        ("create", "p", "shuri", 2, 3),
        ("begin", "shuri:p", True),
        ("mark", "shuri:p"),
        ("ask", 1),
        ("tell", "okoye:p"),
        ("distil", "shuri:p"),
        ("story", "q", "€"),
        ("session", "shuri:q", 4),
        ("budget", "q", 4),
        ("delete", 0),
        ("rename", "p", "PP"),
        ("dismiss", "okoye:q"),
        ("hire", "okoye:q", 60),
    )
]
"""Touches every table, and deletes."""


@attrs.define
class Told:
    """A random history, and what the database held after each of its commands."""

    bench: Bench
    held: dict[int, Images] = attrs.field(factory=dict)

    def play(self, steps: list[tuple[tuple[Any, ...], str | None, int]]) -> None:
        self._remember()
        furnish(self.bench)
        self._remember()
        for step, key, times in steps:
            command = command_of(self.bench, step)
            for _ in range(times):
                with suppress(MissionError):
                    self.bench.do(command, key=key)
                self._remember()

    def _remember(self) -> None:
        self.held[self.bench.reads.last_seq()] = images_of(self.bench.connection)

    @property
    def log(self) -> list[Change]:
        return list(read_log(self.bench.connection, NOWHERE))


@contextmanager
def told(folder: Path, steps: list[tuple[tuple[Any, ...], str | None, int]]) -> Iterator[Told]:
    with open_bench(folder / "a.db") as bench:
        history = Told(bench)
        history.play(steps)
        yield history


def copied(log: list[Change], folder: Path) -> Any:
    """Return every row, rowids and all, of a database into which *log* was written again."""
    with open_bench(folder / "copy.db") as bench:
        bench.connection.execute("BEGIN")
        for change in log:
            apply_change(bench.connection, change)
        bench.connection.execute("COMMIT")
        return [bench.table(name) for name in LOGGED], list(read_log(bench.connection, NOWHERE))


def test_every_table_of_records_is_logged() -> None:
    assert set(_TABLES) == set(LOGGED)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(KEYED, max_size=25))
@example(STORY)
def test_the_log_up_to_any_place_gives_back_every_table_as_it_was_there(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[tuple[Any, ...], str | None, int]]
) -> None:
    with told(tmp_path_factory.mktemp("history"), steps) as history:
        log, state = history.log, State()
        assert [change.seq for change in log] == list(range(1, len(log) + 1))
        assert images_in(state) == history.held[0]
        for change in log:
            state.apply(change)
            if change.seq in history.held:
                assert images_in(state) == history.held[change.seq]
        assert state.seq == max(history.held)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(KEYED, max_size=25))
@example(STORY)
def test_a_log_that_is_written_again_makes_the_same_database(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[tuple[Any, ...], str | None, int]]
) -> None:
    folder = tmp_path_factory.mktemp("copied")
    with told(folder, steps) as history:
        tables, log = copied(history.log, folder)
        assert tables == [history.bench.table(name) for name in LOGGED]
        assert log == history.log


def broken(log: list[Change], number: int) -> list[Change]:
    """Return *log* without its change *number*."""
    return [change for change in log if change.seq != number]


def blurred(log: list[Change], number: int) -> list[Change]:
    """Return *log* with a field missing in what change *number* left behind."""

    cells = json.loads(log[number - 1].after or "{}")
    del cells[next(iter(cells))]  # the first: what later schemas added may be left out
    change = attrs.evolve(log[number - 1], after=json.dumps(cells, ensure_ascii=False))
    return [*log[: number - 1], change, *log[number:]]


def last_words(log: list[Change], ends: list[int]) -> list[int]:
    """Return the changes that no later one of the same command replaces."""
    found: list[int] = []
    begin = 0
    for end in ends:
        newest = {(each.entity, each.entity_id): each.seq for each in log[begin:end]}
        found += newest.values()
        begin = end
    return sorted(found)


def test_a_replay_that_misses_one_change_or_one_field_is_noticed(tmp_path: Path) -> None:
    """The negative control of the above."""
    with told(tmp_path, STORY) as history:
        log = history.log
        assert {change.entity for change in log} == set(LOGGED)
        assert any(change.after is None for change in log)
        ends = sorted(history.held)[1:]
        for number in last_words(log, ends):
            end = min(end for end in ends if end >= number)
            assert images_in(fold(log[:end])) == history.held[end]
            assert images_in(fold(broken(log[:end], number))) != history.held[end]
            if log[number - 1].after is not None:
                assert images_in(fold(blurred(log[:end], number))) != history.held[end]


def test_changes_are_replayed_in_order_and_without_a_gap(bench: Bench, tmp_path: Path) -> None:
    furnish(bench)
    log = list(read_log(bench.connection, NOWHERE))
    with pytest.raises(Conflict, match="change 2 was replayed after 3"):
        fold([log[0], log[2], log[1]])
    with pytest.raises(Conflict, match="change 3 cannot be replayed: 2 comes next"):
        copied([log[0], log[2]], tmp_path)
    with pytest.raises(Invalid, match="'toys'"):
        copied([attrs.evolve(log[0], entity="toys")], tmp_path / "..")


# What the log says, and where.


def archived(bench: Bench, archive: Path, up_to: int) -> None:
    """Put the changes up to a number into the archive, and out of the table."""
    segment = archive_log(bench.path, archive, before_us=FOR_EVER, up_to=up_to)
    assert segment is not None
    while bench.do(c.TrimLog(segment)):
        pass


def test_a_gap_is_named(bench: Bench, tmp_path: Path) -> None:
    furnish(bench)
    end = bench.reads.last_seq()
    with pytest.raises(LogGap, match=f"changes {end + 1} to {end + 2} are neither"):
        list(read_log(bench.connection, tmp_path, until=end + 2))
    bench.connection.execute("INSERT INTO meta VALUES('retention_seq', '7')")
    bench.connection.execute("DELETE FROM changes WHERE seq BETWEEN 3 AND 7")
    with pytest.raises(LogGap, match="changes 3 to 7 are neither") as gap:
        list(read_log(bench.connection, tmp_path))
    assert gap.value.details == {"first": 3, "last": 7}
    assert [each.seq for each in read_log(bench.connection, tmp_path, after=7, until=9)] == [8, 9]
    assert list(read_log(bench.connection, tmp_path, after=9, until=9)) == []


def test_a_time_means_the_newest_change_that_was_made_by_then(bench: Bench, tmp_path: Path) -> None:
    begin = bench.clock.now_us()
    for second, name in ((10, "A"), (20, "B"), (5, "C"), (30, "D")):  # the clock stepped back
        bench.do(c.InitProject(name), at=begin + second * US)

    def at(second: int) -> int:
        return seq_at(bench.connection, tmp_path, begin + second * US)

    expected = {4: 0, 5: 3, 19: 3, 20: 3, 29: 3, 30: 4, 99: 4}
    assert {second: at(second) for second in expected} == expected
    archived(bench, tmp_path, 2)
    assert {second: at(second) for second in expected} == expected
    archived(bench, tmp_path, 3)
    assert {second: at(second) for second in expected} == expected


@pytest.mark.parametrize("text", ["", ".", "1", ".1", "1.", "e1.-1", "e1.01", "E1.1", "e1.1 "])
def test_what_is_no_cursor_is_refused_by_the_name_of_its_field(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Cursor.parse(text, field="since")
    assert refusal.value.details["field"] == "since"


@given(st.from_regex(r"[0-9a-f]{1,12}", fullmatch=True), st.integers(0, 10**18 - 1))
def test_a_cursor_reads_as_it_is_written(epoch: str, seq: int) -> None:
    cursor = Cursor(epoch, seq)
    assert Cursor.parse(str(cursor), field="since") == cursor


NOW = 1_763_836_200 * US  # 2025-11-22T18:30:00Z
HOUR = 3600 * US


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-11-22T18:00:00Z", NOW - HOUR // 2),
        ("2025-11-22T18:00:00", NOW - HOUR // 2),
        ("2025-11-22 19:00:00.5+01:00", NOW - HOUR // 2 + US // 2),
        ("2025-11-22", NOW - 18 * HOUR - HOUR // 2),
        ("-2h", NOW - 2 * HOUR),
        ("-1d12h", NOW - 36 * HOUR),
        ("-1w", NOW - 7 * 24 * HOUR),
        ("-90m", NOW - HOUR * 3 // 2),
        ("-0s", NOW),
        ("-999999w", 0),
        ("0001-01-01T00:00:00+14:00", 0),
        ("e1.7", Cursor("e1", 7)),
    ],
)
def test_a_moment_is_a_time_a_span_or_a_cursor(text: str, moment: Cursor | int) -> None:
    assert parse_moment(text, now_us=NOW, field="at") == moment


NO_MOMENTS = ("", "yesterday", "2h", "-h", "-2y", "- 2h", "-9999999w", "2025-13-01", "x" * 5000)
NOT_YET = ("2025-11-22T18:30:01Z", "9999-12-31")


@pytest.mark.parametrize("text", [*NO_MOMENTS, *NOT_YET, "e1.01"])
def test_what_is_no_moment_of_the_past_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="at must") as refusal:
        parse_moment(text, now_us=NOW, field="at")
    assert refusal.value.details["field"] == "at"
    assert len(refusal.value.message) < 400


# A board as it was.

Board = tuple[Any, list[Any], dict[str, tuple[str, ...]]]


def boards(bench: Bench, projects: Iterable[str] = PROJECTS) -> dict[str, Board]:
    reads = bench.reads
    return {
        id_: (reads.project(id_), reads.board(id_), reads.dependencies(id_)) for id_ in projects
    }


@settings(max_examples=20, deadline=None)
@given(st.lists(ALL_STEPS, max_size=20), st.lists(st.integers(1, 60), max_size=3))
def test_a_board_of_the_past_is_the_board_that_was_seen_then(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]], cuts: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("boards")
    with open_bench(folder / "a.db") as bench:
        furnish(bench)
        seen: dict[int, tuple[int, dict[str, Board]]] = {}
        for step in steps:
            with suppress(MissionError):
                bench.do(command_of(bench, step))
            seen[bench.reads.last_seq()] = (bench.clock.now_us(), boards(bench))
        for cut in sorted(set(cuts)):
            segment = archive_log(bench.path, folder, before_us=FOR_EVER, up_to=cut)
            while segment is not None and bench.do(c.TrimLog(segment)):
                pass
        for seq, (at, then) in seen.items():
            for moment in (Cursor("e1", seq), at):
                for id_, (project, cards, bonds) in then.items():
                    board = bench.reads.board_at(folder, id_, moment)
                    assert (board.cursor, board.project) == (Cursor("e1", seq), project)
                    assert (list(board.tasks), board.depends_on) == (cards, bonds)


def test_of_a_history_that_was_given_up_no_board_is_made_up(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with furnished(home, {}) as bench:
        clock = bench.clock
        backups = Backups(home, clock)
        kept = bench.task("p", "kept")
        known, backup = bench.reads.cursor(), backups.create()
        bench.task("p", "given up")
        clock.advance(60)
        then, lost = clock.now_us(), bench.reads.cursor()
    clock.advance(60)
    backups.restore(backup.id)
    with open_bench(home / DATABASE) as bench, closing(Reads(home / DATABASE)) as reads:
        bench.clock = clock
        after = bench.task("p", "after")

        def titles(moment: Cursor | int) -> set[str]:
            board = reads.board_at(backups.log_archive, "p", moment)
            return {task.title for task in board.tasks} & {"kept", "given up", "after"}

        assert titles(kept.created_at) == titles(known) == {"kept"}
        assert titles(after.created_at) == {"kept", "after"}
        with pytest.raises(Conflict, match="was given up when a backup was restored") as refusal:
            titles(then)
        (name,) = re.findall(r"kept is ([0-9a-f]+\.[0-9]+);", refusal.value.message)
        assert titles(Cursor.parse(name, field="at")) == {"kept"}
        with pytest.raises(Conflict, match="of another history"):
            titles(lost)


def test_a_moment_that_cannot_be_shown_says_why(bench: Bench, tmp_path: Path) -> None:
    before = bench.clock.now_us()
    bench.project("P")
    began = "2026-01-01T00:00:01Z"

    def why(project_id: str, moment: Cursor | int, kind: type[MissionError]) -> str:
        with pytest.raises(kind) as refusal:
            bench.reads.board_at(tmp_path, project_id, moment)
        assert refusal.value.details["field"] == "at"
        return refusal.value.message

    assert f"it began {began}" in why("p", before, NotFound)
    assert "there is none now" in why("q", before, NotFound)
    assert "at the cursor e1.0" in why("p", Cursor("e1", 0), NotFound)
    assert "of another history" in why("p", Cursor("e2", 1), Conflict)
    assert "after the end of the log, 1" in why("p", Cursor("e1", 2), Invalid)
    assert bench.reads.board_at(tmp_path, "p", Cursor("e1", 1)).tasks == ()


def test_a_look_back_reads_no_more_of_the_archive_than_it_must(
    bench: Bench, tmp_path: Path
) -> None:
    bench.project("P")
    old, ends = bench.task("p", "old", None), [bench.reads.last_seq()]
    newer = bench.task("p", "newer", None)
    ends.append(bench.reads.last_seq())
    bench.task("p", "newest", None)
    for end in ends:
        archived(bench, tmp_path, end)

    def titles(moment: Cursor) -> set[str]:
        return {task.title for task in bench.reads.board_at(tmp_path, "p", moment).tasks}

    before = bench.reads.cursor()
    bench.do(c.UpdateTask(old.id, title="renamed"))
    between = bench.reads.cursor()
    bench.do(c.UpdateTask(newer.id, title="renamed too"))
    now = bench.reads.cursor()
    first, second = sorted(tmp_path.glob("e1/*.gz"))
    whole = first.read_bytes()
    first.write_bytes(whole[:-9])
    assert titles(between) == {"renamed", "newer", "newest"}
    for moment in (before, Cursor("e1", ends[0])):
        with pytest.raises(LogDamaged, match=f"changes 1 to {ends[0]} cannot be read"):
            titles(moment)
    first.write_bytes(whole)
    assert titles(before) == {"old", "newer", "newest"}
    second.unlink()
    assert titles(now) == {"renamed", "renamed too", "newest"}
    assert titles(Cursor("e1", ends[0])) == {"old"}


@pytest.mark.parametrize("files", [1, 2, 3, 5])
def test_a_board_is_rebuilt_from_whichever_end_has_less_to_read(
    bench: Bench, tmp_path: Path, files: int
) -> None:
    bench.project("P")
    ends, seen = [], {}
    for number in range(files):
        bench.task("p", f"task {number}", None)
        ends.append(bench.reads.last_seq())
        seen[ends[-1]] = boards(bench, ["p"])["p"]
    bench.task("p", "not archived", None)
    for end in ends:
        archived(bench, tmp_path, end)
    read: list[int] = []
    for number, end in enumerate(ends, start=1):
        read.append(0)

        def count() -> None:
            read[-1] += 1

        board = bench.reads.board_at(tmp_path, "p", Cursor("e1", end), step=count)
        assert (board.project, list(board.tasks), board.depends_on) == seen[end]
        assert read[-1] == min(number, files - number)


def test_a_look_at_the_archive_ends_where_it_is_told_to(bench: Bench, tmp_path: Path) -> None:
    bench.project("P")
    old, ends = bench.task("p", "old", None), [bench.reads.last_seq()]
    for number in range(6):
        bench.task("p", f"task {number}", None)
        ends.append(bench.reads.last_seq())
    for end in ends:
        archived(bench, tmp_path, end)
    bench.do(c.UpdateTask(old.id, title="renamed"))
    steps: list[int] = []

    def step() -> None:
        steps.append(len(steps))
        if len(steps) == 3:
            raise InterruptedError

    # Back from the table, back from within the archive, and forth.
    for seq in (ends[-1], ends[-1] - 1, ends[2]):
        del steps[:]
        with pytest.raises(InterruptedError):
            bench.reads.board_at(tmp_path, "p", Cursor("e1", seq), step=step)
        assert len(steps) == 3


def test_only_the_changes_of_one_board_are_read(bench: Bench, tmp_path: Path) -> None:
    furnish(bench)
    bench.do(c.RenameProject("p", "Renamed"))
    statements: list[str] = []
    connection = bench.reads._open
    connection.set_trace_callback(statements.append)
    bench.reads.board_at(tmp_path, "p", Cursor("e1", bench.reads.last_seq() - 1))
    connection.set_trace_callback(None)
    asked = [text for text in statements if "FROM changes" in text and "task_dep" in text]
    assert len(asked) == 2
    for text in asked:
        (plan,) = connection.execute(f"EXPLAIN QUERY PLAN {text}")
        assert "USING INDEX changes_board (project_id=? AND seq>? AND seq<?)" in plan[3]


async def test_a_long_look_back_holds_up_neither_the_loop_nor_other_questions(
    bench: Bench,
) -> None:
    furnish(bench)
    end = threading.Event()

    async def look_back() -> None:
        await bench.reads.at_leisure(lambda reads: (reads.last_seq(), end.wait(60)))

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(look_back)
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(5):
                assert await bench.reads.elsewhere(lambda reads: reads.last_seq()) > 0
            end.set()


# History is not changed.


def refused(bench: Bench, statement: str) -> str:
    """Return with which words the database refuses *statement*; none where it obeys."""
    bench.connection.execute("SAVEPOINT attempt")
    try:
        assert bench.connection.execute(statement).rowcount, "it met no row, and shows nothing"
    except sqlite3.IntegrityError as refusal:
        return str(refusal)
    finally:
        bench.connection.execute("ROLLBACK TO attempt")
        bench.connection.execute("RELEASE attempt")
    return ""


HISTORY = ("changes", "task_events", "chronicle", "memories", "pulses", "log_segments")


@pytest.fixture
def grown(bench: Bench, tmp_path: Path) -> Bench:
    history = Told(bench)
    history.play(STORY)
    pulse = bench.reads.open_pulse("shuri:p")
    assert pulse is not None
    bench.end(pulse)
    archived(bench, tmp_path / "archive", 10)
    return bench


@pytest.mark.parametrize("table", HISTORY)
def test_history_is_neither_rewritten_nor_deleted(grown: Bench, table: str) -> None:
    column = {"log_segments": "earliest", "pulses": "detail"}.get(table, "at")
    columns = ", ".join(row[1] for row in grown.connection.execute(f"PRAGMA table_info({table})"))
    for statement in (
        f"UPDATE {table} SET {column} = {column}",  # noqa: S608
        f"DELETE FROM {table}",  # noqa: S608
        f"REPLACE INTO {table} SELECT {columns} FROM {table}",  # noqa: S608
    ):
        assert re.search("never|retention mark only", refused(grown, statement)), statement


def test_what_is_not_history_may_be_changed(grown: Bench) -> None:
    """The negative control of the above: the means by which a refusal is seen can fail."""
    assert not refused(grown, "UPDATE tasks SET title = 'x'")
    grown.begin("okoye:q", triggered=True)
    assert not refused(grown, "UPDATE pulses SET detail = 'x' WHERE state <> 'ended'")


def test_the_log_is_deleted_up_to_the_retention_mark_only_which_never_goes_back(
    grown: Bench,
) -> None:
    assert refused(grown, "DELETE FROM changes WHERE seq = 11")
    assert refused(grown, "UPDATE meta SET value = '9' WHERE key = 'retention_seq'")
    assert not refused(grown, "UPDATE meta SET value = '100' WHERE key = 'retention_seq'")


def test_a_project_that_is_erased_takes_its_history_with_it_and_no_other(grown: Bench) -> None:
    connection = grown.connection
    grown.do(c.LogEvent(grown.task("q").id, "stays"))
    connection.execute("BEGIN")
    with erasing(connection, "p"):
        for table in ("task_events", "chronicle", "memories", "pulses"):
            connection.execute(f"DELETE FROM {table} WHERE project_id = 'p'")  # noqa: S608
        assert refused(grown, "DELETE FROM task_events WHERE project_id = 'q'")
    assert refused(grown, "DELETE FROM task_events")
    connection.execute("COMMIT")
    assert not [row for row in grown.table("pulses") if row["project_id"] == "p"]
    assert [row for row in grown.table("task_events") if row["project_id"] == "q"]
