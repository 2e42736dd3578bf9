"""The keeper of a project's mirrors: few writings for many changes, and word of what went wrong."""

from __future__ import annotations

import logging
import shutil
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import trio
import trio.testing

from mission_control import MissionControl
from mission_control.actors._mirror_keeper import (
    MIRROR_RETRY_MOST_S,
    MIRROR_RETRY_S,
    retry_delay,
)
from mission_control.actors._roster import Reconcile, roster_name
from mission_control.actors._seal import seal_of
from rig import PATIENCE_S, Open, crew, until
from system_doors import idle

BURST = 1_000
AT_ONCE = 250


def told(mc: MissionControl, kind: str) -> list[str]:
    events = mc.mission.reads.events(project_id="p", limit=500)
    return [event.thought for event in events if event.kind == kind]


async def test_a_burst_of_changes_makes_few_renderings_and_each_answer_finds_its_own(
    open_home: Open,
) -> None:
    seen: set[int] = set()
    room = trio.Semaphore(AT_ONCE)

    async def create(mc: MissionControl) -> None:
        async with room:
            answer = await mc.call("mission.task.create", project_id="p", title="x")
            raw = mc.mission.home.scope("p").kanban.read_bytes()
            assert answer["task_id"].encode() in raw
            seal = seal_of(raw)
            assert seal is not None
            seen.add(seal.seq)

    async with open_home(idle()) as mc:
        await crew(mc)
        async with trio.open_nursery() as nursery:
            for _ in range(BURST):
                nursery.start_soon(create, mc)
        assert len(mc.mission.reads.open_tasks("p")) == BURST
    assert len(seen) < BURST / 4


async def test_files_are_written_while_others_ask_much(open_home: Open) -> None:
    end = threading.Event()
    async with open_home(idle()) as mc:
        await crew(mc)
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                for _ in range(5):
                    nursery.start_soon(mc.mission.reads.elsewhere, lambda _: end.wait(PATIENCE_S))
                await trio.testing.wait_all_tasks_blocked()
                answer = await mc.call("mission.task.create", project_id="p", title="x")
                assert answer["task_id"] in mc.mission.home.scope("p").kanban.read_text()
                end.set()


async def test_the_tick_notices_what_others_changed_and_the_project_is_told(
    open_home: Open, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_home(idle()) as mc:
        await crew(mc)
        scope = mc.mission.home.scope("p")
        right = scope.chronicle.read_text()
        scope.chronicle.write_text("mine now")
        with caplog.at_level(logging.WARNING, "mission_control.mirrors"):
            await mc.mission.ask(roster_name("p"), Reconcile())
            await until(mc, lambda: bool(told(mc, "mirror_restored")))
        (said,) = told(mc, "mirror_restored")
        assert said.startswith("CHRONICLE.md was changed behind Mission Control's back")
        assert said in caplog.text
        (kept,) = scope.archive.iterdir()
        assert f"archive/{kept.name}" in said
        assert kept.read_text() == "mine now"
        assert scope.chronicle.read_text() == right


async def test_what_was_changed_while_the_service_was_down_is_told_at_the_start(
    open_home: Open,
) -> None:
    async with open_home(idle()) as mc:
        await crew(mc)
        scope = mc.mission.home.scope("p")
    scope.kanban.write_text("mine now")
    async with open_home(idle()) as mc:
        await until(mc, lambda: bool(told(mc, "mirror_restored")))
        assert "## Backlog (0)" in scope.kanban.read_text()


def put_in_the_way(path: Path) -> None:
    """Make *path* a file, though the thread that writes mirrors may just make it a folder."""
    while not path.is_file():
        shutil.rmtree(path, ignore_errors=True)
        with suppress(IsADirectoryError):
            path.write_text("in the way")


async def test_files_that_cannot_be_written_hold_up_nobody_and_it_is_told_once(
    open_home: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mission_control.actors._mirror_keeper.MIRROR_RETRY_S", 0.02)
    async with open_home(idle()) as mc:
        await crew(mc)
        scope = mc.mission.home.scope("p")
        away = scope.path.with_name("away")
        scope.path.rename(away)
        put_in_the_way(scope.path)
        with trio.fail_after(20):
            for _ in range(5):
                await mc.call("mission.task.create", project_id="p", title="x")
            await until(mc, lambda: bool(told(mc, "mirror_failed")))
        scope.path.unlink()
        away.rename(scope.path)
        await until(mc, lambda: bool(told(mc, "mirror_healed")))
        assert scope.kanban.read_text().count("**x**") == 5
        assert len(told(mc, "mirror_failed")) == len(told(mc, "mirror_healed")) == 1
        # From now on an answer waits for the files again.
        created = await mc.call("mission.task.create", project_id="p", title="x")
        assert created["task_id"] in scope.kanban.read_text()


async def test_an_agent_may_keep_its_working_notes_when_it_distils(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        await crew(mc, "shuri")
        scope = mc.mission.home.scope("p")
        notes = scope.agent("shuri") / "working.md"
        notes.parent.mkdir(parents=True, exist_ok=True)
        notes.write_text("half an idea")
        distil = {"agent_id": "shuri:p", "summary": "Read first."}
        await mc.call("mission.control.distill_memory", **distil, archive_working_notes=False)
        assert notes.read_text() == "half an idea"
        await mc.call("mission.control.distill_memory", **distil)
        assert notes.read_bytes() == b""
        (kept,) = scope.archive.iterdir()
        assert kept.read_text() == "half an idea"


def test_after_each_failure_it_waits_longer_up_to_a_limit() -> None:
    delays = [retry_delay(failures) for failures in range(1, 8)]
    assert delays[:3] == [MIRROR_RETRY_S, 2 * MIRROR_RETRY_S, 4 * MIRROR_RETRY_S]
    assert delays[-1] == retry_delay(10_000) == MIRROR_RETRY_MOST_S
