"""File operations of many callers at once: threads that keep their locks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from mission_control.storage import Forbidden, Limited, NotFound
from mission_control.storage.files import (
    AgentAccess,
    AppendToFile,
    Delete,
    EditFile,
    FileLocks,
    Files,
    Limits,
    LockTimeout,
    MakeFolder,
    Move,
    OperatorAccess,
    Projects,
    Right,
    ScopedFiles,
    WriteFile,
)
from mission_control.storage.files._files import PENDING, THREADS, THREADS_EACH
from mission_control.storage.files._root import ProjectRoot

from .conftest import AGENT, WRITER

PATIENCE_S = 30


@pytest.fixture
def projects(tmp_path: Path) -> Iterator[Projects]:
    for name in ("alpha", "beta"):
        (tmp_path / name / "src").mkdir(parents=True)
    with Projects(tmp_path) as projects:
        yield projects


class Gate:
    """Holds a write up in its thread, while it is not over."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()
        leads_to = ProjectRoot.leads_to

        def wait(root: ProjectRoot, names: tuple[str, ...], folder: int) -> bool:
            self.reached.set()
            assert self.open.wait(PATIENCE_S)
            return leads_to(root, names, folder)

        monkeypatch.setattr(ProjectRoot, "leads_to", wait)

    async def wait_until_reached(self) -> None:
        with trio.fail_after(PATIENCE_S):
            await trio.to_thread.run_sync(self.reached.wait, PATIENCE_S)


async def test_every_operation_goes_through(projects: Projects) -> None:
    files = Files(projects)
    written = await files.change(AGENT, WriteFile("src/a", b"one"))
    assert (await files.read(AGENT, "src/a")).sha256 == written.after
    await files.change(AGENT, AppendToFile("src/a", b" two"))
    await files.change(AGENT, EditFile("src/a", b"one", b"1"))
    assert (await files.read(AGENT, "src/a", offset=2)).text == "two"
    assert (await files.stat(AGENT, "src/a")).size == 5
    await files.change(AGENT, MakeFolder("src/d/e", parents=True))
    await files.change(AGENT, Move("src/a", "src/d/a"))
    assert [entry.name for entry in await files.list(AGENT, "src/d")] == ["a", "e"]
    assert len((await files.search(AGENT, ".", "two")).matches) == 1
    await files.change(AGENT, Delete("src/d", recursive=True))
    await files.change(WRITER, WriteFile("top.txt", b"x"))
    await files.change(WRITER, Delete("top.txt"))
    assert not await files.exists(AGENT, "src/d")
    assert not files.locks.list()
    files.forget("alpha")


async def test_refusals_come_before_locks_and_leave_none(projects: Projects) -> None:
    files = Files(projects)
    with pytest.raises(Forbidden):
        await files.change(AGENT, WriteFile("../beta/x", b""))
    with pytest.raises(NotFound):
        await files.change(AGENT, WriteFile("src/none/x", b""))
    with pytest.raises(Forbidden):
        await files.change(AGENT, Move("src/a", "a"))
    assert not files.locks.list()


async def test_writers_of_one_file_take_turns_and_lose_nothing(projects: Projects) -> None:
    files = Files(projects)

    async def add(number: int) -> None:
        await files.change(AGENT, AppendToFile("src/log", f"{number}\n".encode()))

    async with trio.open_nursery() as nursery:
        for number in range(PENDING):
            nursery.start_soon(add, number)
            await wait_all_tasks_blocked()
    lines = (await files.read(AGENT, "src/log")).text.split()
    assert lines == [str(number) for number in range(PENDING)]


async def test_a_project_that_holds_its_threads_up_leaves_the_others_theirs(
    projects: Projects, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, reached, gate = Files(projects), threading.Semaphore(0), threading.Event()

    def slow(*_: object, **__: object) -> None:
        reached.release()
        assert gate.wait(PATIENCE_S)

    with monkeypatch.context() as slowed:
        slowed.setattr(ScopedFiles, "search", slow)
        async with trio.open_nursery() as nursery:
            for _ in range(THREADS):
                nursery.start_soon(files.search, AGENT, ".", "x")
            for _ in range(THREADS_EACH):
                assert await trio.to_thread.run_sync(reached.acquire, True, PATIENCE_S)
            await wait_all_tasks_blocked()
            try:
                with trio.fail_after(PATIENCE_S):
                    await files.change(AgentAccess("beta", "coder"), WriteFile("src/a", b"x"))
                assert not reached.acquire(blocking=False)
            finally:
                gate.set()


async def test_a_search_ends_when_its_time_is_over(projects: Projects) -> None:
    files = Files(projects, limits=Limits(search_s=0))
    await files.change(AGENT, WriteFile("src/a", b"x"))
    found = await files.search(AGENT, ".", "nowhere")
    assert not found.complete


async def test_only_administrators_are_shown_that_there_are_secrets(projects: Projects) -> None:
    files, admin = Files(projects), OperatorAccess("alpha", "root", Right.ADMIN)
    await files.change(admin, MakeFolder(".secrets"))
    assert [entry.name for entry in await files.list(admin, ".")] == [".secrets", "src"]
    for access in (AGENT, WRITER):
        assert [entry.name for entry in await files.list(access, ".")] == ["src"]


async def test_a_thread_that_writes_keeps_its_lock_when_its_task_is_cancelled(
    projects: Projects, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, gate = Files(projects), Gate(monkeypatch)
    order = []

    async def write(data: bytes, scope: trio.CancelScope) -> None:
        with scope:
            await files.change(AGENT, WriteFile("src/a", data))
            order.append(data)

    first = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(write, b"first", first)
        await gate.wait_until_reached()
        nursery.start_soon(write, b"second", trio.CancelScope())
        await wait_all_tasks_blocked()
        first.cancel()
        await wait_all_tasks_blocked()
        held = {info.path: info.queue for info in files.locks.list()}
        assert held == {".": (), "src/a": ("agent coder:alpha",)}
        gate.open.set()
    assert order[-1] == b"second"
    assert (await files.read(AGENT, "src/a")).data == b"second"
    assert not files.locks.list()


async def test_who_waits_for_a_slow_writer_is_told_so(
    projects: Projects, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, gate = Files(projects, FileLocks(timeout=0.01)), Gate(monkeypatch)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(files.change, AGENT, WriteFile("src/a", b"slow"))
        await gate.wait_until_reached()
        with pytest.raises(LockTimeout, match="agent coder:alpha"):
            await files.change(WRITER, WriteFile("src/a", b"fast"))
        gate.open.set()
    assert (await files.read(AGENT, "src/a")).data == b"slow"


async def test_one_project_cannot_queue_without_end(
    projects: Projects, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, gate = Files(projects), Gate(monkeypatch)
    async with trio.open_nursery() as nursery:
        for _ in range(PENDING):
            nursery.start_soon(files.change, AGENT, WriteFile("src/a", b"x"))
        await gate.wait_until_reached()
        await wait_all_tasks_blocked()
        with pytest.raises(Limited) as refused:
            await files.read(AGENT, "src/a")
        assert refused.value.details["reason"] == "too_many_operations"
        gate.open.set()
    assert (await files.read(AGENT, "src/a")).data == b"x"
