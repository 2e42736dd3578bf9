"""Files that are whole, one holder of a home, ids and errors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.storage import (
    Conflict,
    Deadline,
    Forbidden,
    HomeInUse,
    Internal,
    Invalid,
    Limited,
    MissionError,
    NotFound,
    Unauthenticated,
    Unavailable,
    from_wire,
    hold_home,
    replace_file,
    sweep_staged,
    uuid7,
)

ROOT = Path(__file__).parents[2]


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "KANBAN.md"
    replace_file(path, "old")
    replace_file(path, "new ✓", mode=0o644)
    assert path.read_text("utf-8") == "new ✓"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_finds_the_old_text_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "KANBAN.md"
    texts = ("a" * 200_000, "b" * 100_000)
    replace_file(path, texts[0])
    seen, stop = set(), threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(40):
        replace_file(path, texts[number % 2])
    stop.set()
    reader.join()
    assert seen <= set(texts)


@pytest.mark.parametrize("text", ["half a pair: \ud800", "x" * 100_000])
def test_a_write_that_fails_leaves_the_old_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "folder" / "KANBAN.md"
    path.parent.mkdir()
    replace_file(path, "old")
    if text.isascii():
        path.unlink()
        path.mkdir()  # what a rename cannot replace
    with pytest.raises((UnicodeEncodeError, OSError)):
        replace_file(path, text)
    assert list(path.parent.iterdir()) == [path]
    assert path.is_dir() or path.read_text() == "old"


def test_what_a_killed_write_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".KANBAN.md.0123abcd.tmp").write_text("half")
    (tmp_path / "KANBAN.md").write_text("whole")
    sweep_staged(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["KANBAN.md"]


def test_a_home_has_one_holder_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "mission-control.lock"
    with hold_home(lock):
        with pytest.raises(HomeInUse, match=f"pid {os.getpid()}"), hold_home(lock):
            pass
        assert lock.stat().st_mode & 0o777 == 0o600
    with hold_home(lock):
        pass


@pytest.mark.slow
def test_a_killed_holder_is_named_while_it_lives_and_then_gives_the_home_free(
    tmp_path: Path,
) -> None:
    lock = tmp_path / "mission-control.lock"
    script = (
        "import sys, time; from pathlib import Path\n"
        "from mission_control.storage import hold_home\n"
        "with hold_home(Path(sys.argv[1])):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, lock],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(HomeInUse, match=f"pid {holder.pid}"), hold_home(lock):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with hold_home(lock):
            pass


NOISE = st.integers(0, (1 << 74) - 1)


@given(st.integers(0, (1 << 48) - 1), NOISE, NOISE)
def test_ids_are_uuids_that_sort_by_time_and_then_by_their_noise(
    ms: int, noise: int, other: int
) -> None:
    id_ = uuid7(ms * 1_000, noise)
    parsed = uuid.UUID(id_)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == ms
    assert uuid7(ms * 1_000 + 999, noise) == id_
    assert uuid7(ms * 1_000, noise + (1 << 74)) == id_
    assert (uuid7(ms * 1_000, other) < id_) == (other < noise)
    assert uuid7((ms + 1) * 1_000, other) > id_ or ms == (1 << 48) - 1


@pytest.mark.parametrize(
    "kind",
    [
        Conflict,
        Deadline,
        Forbidden,
        Internal,
        Invalid,
        Limited,
        NotFound,
        Unauthenticated,
        Unavailable,
    ],
)
def test_an_error_comes_back_from_the_wire_as_it_went(kind: type[MissionError]) -> None:
    sent = kind("No.", retry_after_ms=5, field="title")
    wire = sent.to_wire()
    assert wire["data"]["kind"] == kind.kind
    got = from_wire(wire)
    assert type(got) is kind
    assert (got.message, got.retry_after_ms, got.details) == ("No.", 5, {"field": "title"})
