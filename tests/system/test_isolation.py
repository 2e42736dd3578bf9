"""What goes wrong in one place: other projects, the start and the stop do not notice."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from mission_control import MissionControl
from mission_control.actors import FEED, Life, Outcome, PulseOrder, board_name
from mission_control.actors._brief import MAX_LAYER_BYTES
from mission_control.storage import STORAGE, TaskStatus, Unavailable
from rig import DONE, FAST, PATIENCE_S, Open, ScriptedRunner, crew, until
from system_doors import busy, idle

MIRROR_RETRY_S = "mission_control.actors._mirror_keeper.MIRROR_RETRY_S"


async def task(mc: MissionControl, project_id: str, soul: str | None = "shuri") -> str:
    answer = await mc.call(
        "mission.task.create", project_id=project_id, title="x", assignee_id=soul
    )
    return str(answer["task_id"])


async def patiently(mc: MissionControl, method: str, **params: object) -> Any:
    """Call as a client does that is told to try again."""
    with trio.fail_after(PATIENCE_S):
        while True:
            try:
                return await mc.call(method, **params)
            except Unavailable:
                await trio.sleep(0.05)


async def shows(path: Path, text: str) -> None:
    """Wait until a file is right again; it is not a change, so nobody tells."""

    def is_right() -> bool:
        return path.is_file() and text in path.read_text()

    with trio.fail_after(PATIENCE_S):
        while not is_right():  # noqa: ASYNC110 - as said
            await trio.sleep(0.02)


def at_work(mc: MissionControl, *agents: str) -> Callable[[], bool]:
    """Whether attempts of all these run, and have heard that how to find them is recorded."""
    runner = mc.mission.runner
    assert isinstance(runner, ScriptedRunner)
    return lambda: runner.recorded.issuperset(agents)


# What stands where a file should be.


def folder(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    target = path.with_suffix(".target")
    target.write_text("somebody else's")
    path.symlink_to(target)


def endless_link(path: Path) -> None:
    path.symlink_to(path)


IN_PLACE = pytest.mark.parametrize("put", [folder, pipe, link, endless_link])


@IN_PLACE
async def test_what_stands_in_place_of_a_mirror_stops_neither_a_start_nor_a_stop(
    open_home: Open, put: Callable[[Path], None]
) -> None:
    async with open_home(idle()) as mc:
        await crew(mc, "shuri", project="Good")
        kanban = mc.mission.home.scope(await crew(mc, "shuri", project="Bad")).kanban
    kanban.unlink()
    put(kanban)
    runner = idle()
    async with open_home(runner) as mc:
        await task(mc, "good")
        await task(mc, "bad")
        await until(mc, lambda: {o.project_id for o in runner.orders} == {"good", "bad"})
        assert "**x**" in mc.mission.home.scope("good").kanban.read_text()
    if put is link:
        assert kanban.with_suffix(".target").read_text() == "somebody else's"


@IN_PLACE
async def test_what_is_put_in_place_of_a_mirror_holds_up_nobody(
    open_home: Open, put: Callable[[Path], None]
) -> None:
    async with open_home(idle()) as mc:
        for project in ("Good", "Bad"):
            await crew(mc, "shuri", project=project)
            await mc.call(
                "mission.agent.message", instance_id=f"shuri:{project.lower()}", text="one"
            )
        history = mc.mission.home.scope("bad").agent("shuri") / "history.jsonl"
        history.unlink()
        put(history)
        with trio.fail_after(PATIENCE_S):
            for project_id in ("bad", "good"):
                who = f"shuri:{project_id}"
                await mc.call("mission.agent.message", instance_id=who, text="two")
        good = mc.mission.home.scope("good").agent("shuri") / "history.jsonl"
        assert "two" in good.read_text()
    if put is link:
        assert history.with_suffix(".target").read_text() == "somebody else's"


def board_is_a_folder(path: Path) -> None:
    (path / "KANBAN.md").unlink()
    (path / "KANBAN.md").mkdir()


def sources_are_a_file(path: Path) -> None:
    (path / "src").rmdir()
    (path / "src").write_text("")


def all_of_it_is_a_file(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.write_text("")


@pytest.mark.parametrize("harm", [board_is_a_folder, sources_are_a_file, all_of_it_is_a_file])
async def test_a_bad_folder_keeps_nobody_else_from_starting_and_is_right_once_it_is_mended(
    open_home: Open, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], None]
) -> None:
    monkeypatch.setattr(MIRROR_RETRY_S, 0.05)
    async with open_home(idle()) as mc:
        await crew(mc, "shuri", project="Good")
        bad = mc.mission.home.scope(await crew(mc, "shuri", project="Bad")).path
    harm(bad)
    runner = idle()
    async with open_home(runner) as mc:
        await task(mc, "good")
        await until(mc, lambda: [o.project_id for o in runner.orders] == ["good"])
        await task(mc, "bad", None)
        mend(bad, harm)
        await shows(bad / "KANBAN.md", "**x**")


def mend(path: Path, harm: Callable[[Path], None]) -> None:
    if harm is board_is_a_folder:
        return  # it is moved out of the way without our help
    if harm is sources_are_a_file:
        (path / "src").unlink()
    else:
        path.unlink()


async def test_rules_that_are_no_utf8_are_passed_on_as_they_are(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        base = mc.mission.home.scope(await crew(mc, "shuri", project="Base"))
        base.context.write_bytes("Straße".encode("latin-1"))
        await mc.call("mission.project.init", project_name="Copy", base_id="base")
        await task(mc, "base")
        assert mc.mission.home.scope("copy").context.read_bytes() == b"Stra\xdfe"


async def test_a_board_that_crashes_takes_its_own_runs_along_and_they_are_begun_anew_at_once(
    open_home: Open,
) -> None:
    runner = busy()
    async with open_home(runner) as mc:
        await task(mc, await crew(mc, "shuri", project="Good"))
        task_id = await task(mc, await crew(mc, "shuri", project="Bad"))
        await until(mc, at_work(mc, "shuri:good", "shuri:bad"))
        mc.mission.find(board_name("bad")).kill()
        # Before anybody's patience of 30 s with an actor that does not answer.
        with trio.fail_after(25):
            await patiently(mc, "mission.task.create", project_id="bad", title="y")
            await until(mc, lambda: len(mc.mission.reads.pulses_of_task(task_id)) == 2)
        first, second = mc.mission.reads.pulses_of_task(task_id)
        assert first.ended_at is not None
        assert first.ended_at <= second.started_at
        assert [o.project_id for o in runner.orders].count("good") == 1
        assert "shuri:good" in runner.running


async def test_a_feed_that_crashes_with_changes_in_hand_loses_none_of_them(
    open_home: Open,
) -> None:
    ran = trio.Event()

    async def script(order: PulseOrder, life: Life) -> Outcome:
        await trio.lowlevel.checkpoint()
        ran.set()
        return DONE

    async with open_home(ScriptedRunner(script)) as mc:
        project_id = await crew(mc, "shuri")
        feed = mc.mission.find(FEED)
        feed.suspend()
        await task(mc, project_id)
        feed.kill()
        with trio.fail_after(PATIENCE_S):
            await ran.wait()


@asynccontextmanager
async def database_away(mc: MissionControl) -> AsyncIterator[None]:
    """Nobody can open the database meanwhile; who has it open goes on."""
    database = mc.mission.home.database
    kept = database.with_suffix(".kept")
    database.rename(kept)
    database.mkdir()
    try:
        yield
    finally:
        database.rmdir()
        kept.rename(database)


async def test_mirrors_that_cannot_read_end_no_run_and_are_right_afterwards(
    open_home: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MIRROR_RETRY_S, 0.05)
    runner = busy()
    async with open_home(runner) as mc:
        project_id = await crew(mc, "shuri")
        await task(mc, project_id)
        await until(mc, at_work(mc, "shuri:p"))
        kanban = mc.mission.home.scope(project_id).kanban
        async with database_away(mc):
            mc.mission.reads._pool.close()  # the mirrors' way to read; it must open another
            created = await mc.call("mission.task.create", project_id=project_id, title="y")
            assert created["task_id"] not in kanban.read_text()
        await shows(kanban, created["task_id"])
        assert runner.running == {"shuri:p"}
        assert len(runner.orders) == 1


async def test_a_storage_that_cannot_be_reopened_for_a_while_ends_no_run(open_home: Open) -> None:
    runner = busy()
    async with open_home(runner) as mc:
        await task(mc, await crew(mc, "shuri"))
        await until(mc, at_work(mc, "shuri:p"))
        async with database_away(mc):
            mc.mission.find(STORAGE).kill()
            await trio.sleep(1.0)  # several attempts to open it fail
        await patiently(mc, "mission.task.create", project_id="p", title="y")
        assert runner.running == {"shuri:p"}
        assert len(runner.orders) == 1


@pytest.mark.parametrize("asked", [False, True], ids=["well", "with a question"])
async def test_a_run_that_ends_while_nothing_can_be_written_is_recorded_as_it_ended(
    open_home: Open, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    monkeypatch.setattr("mission_control.actors._pulse.CLOSE_WITHIN_S", 0.2)
    ready, go = trio.Event(), trio.Event()

    async def script(order: PulseOrder, life: Life) -> Outcome:
        if asked:
            await mc.call("mission.control.request_help", task_id=order.task_id, issue="red?")
        ready.set()
        await go.wait()
        return DONE

    runner = ScriptedRunner(script)
    async with open_home(runner) as mc:
        task_id = await task(mc, await crew(mc, "shuri"))
        await ready.wait()
        async with database_away(mc):
            mc.mission.find(STORAGE).kill()
            go.set()
            await trio.sleep(0.6)  # longer than the end is offered to the storage at a time
        await patiently(mc, "mission.task.create", project_id="p", title="y")
        await until(mc, lambda: mc.mission.reads.open_pulse("shuri:p") is None)
        (pulse,) = mc.mission.reads.pulses_of_task(task_id)
        assert (pulse.outcome, runner.recovered) == ("succeeded", [])
        expected = TaskStatus.BLOCKED if asked else TaskStatus.IN_PROGRESS
        assert mc.mission.reads.task(task_id).status is expected


async def test_of_huge_working_notes_an_agent_is_told_the_end(open_home: Open) -> None:
    runner = idle()
    async with open_home(runner, attrs.evolve(FAST, interval_s=3600.0)) as mc:
        notes = mc.mission.home.scope(await crew(mc, "shuri")).agent("shuri")
        notes.mkdir(parents=True, exist_ok=True)
        with (notes / "working.md").open("wb") as file:
            file.truncate(2**38)  # sparse; more than any memory
            file.seek(0, os.SEEK_END)
            file.write(b"the last thought")
        await mc.call("mission.agent.trigger", instance_id="shuri:p")
        await until(mc, lambda: bool(runner.orders))
        assert "the last thought" in runner.orders[0].status_text
        assert len(runner.orders[0].status_text) < 2 * MAX_LAYER_BYTES
