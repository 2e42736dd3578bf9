"""A project is deleted: nothing of it runs, nothing of it is left but what was asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import trio

from mission_control import MissionControl
from mission_control.actors import Life, Outcome, PulseOrder, SessionOrder
from mission_control.storage import (
    Deletion,
    MissionError,
    NotFound,
    ProjectState,
    Unavailable,
)
from mission_control.storage.commands import BeginDeletion
from rig import DONE, Open, ScriptedRunner, crew, until

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"


async def at_once(order: PulseOrder, life: Life) -> Outcome:
    return DONE


async def for_ever(order: PulseOrder, life: Life) -> Outcome:
    await trio.sleep_forever()
    raise AssertionError


class ClosedHost(ScriptedRunner):
    """Keeps the sessions that it has."""

    async def end_session(self, order: SessionOrder) -> None:
        raise Unavailable("the host is away")


async def project(mc: MissionControl, name: str = "P") -> str:
    """Make one with an agent that has worked on something."""
    project_id = await crew(mc, "shuri", project=name)
    await mc.call("mission.agent.trigger", instance_id=f"shuri:{project_id}")
    await until(mc, lambda: mc.mission.reads.session(f"shuri:{project_id}") is not None)
    src = mc.mission.home.scope(project_id).src
    (src / "work.py").write_text("print()")
    return project_id


def ids(mc: MissionControl) -> set[str]:
    return {project.id for project in mc.mission.reads.projects()}


async def test_a_deleted_project_is_gone_and_its_folder_is_among_the_backups(
    open_home: Open,
) -> None:
    runner = ScriptedRunner(for_ever)
    async with open_home(runner) as mc:
        project_id, other = await project(mc), await project(mc, "Q")
        await until(mc, lambda: runner.recorded == {"shuri:p", "shuri:q"})
        deleted = await mc.call("mission.project.delete", project_id=project_id)
        assert runner.running == {"shuri:q"}
        assert [key.endswith("mc:q:shuri") for key in runner.sessions] == [True]
        assert ids(mc) == {other}
        home = mc.mission.home
        assert not home.scope(project_id).path.exists()
        with tarfile.open(home.path / deleted["archive"]) as packed:
            assert packed.extractfile("p/src/work.py").read() == b"print()"  # type: ignore[union-attr]
        mode = (home.path / deleted["archive"]).stat().st_mode
        assert mode & 0o077 == 0
        assert deleted["project"]["deleting"] == "archive"
        assert deleted["sessions_left"] == []
        with pytest.raises(NotFound):
            await mc.call("mission.task.list", project_id=project_id)
        assert await crew(mc, "shuri", project="P") == "p", "the name may be given again"


async def test_a_project_that_is_purged_leaves_no_folder_at_all(open_home: Open) -> None:
    async with open_home(ScriptedRunner(at_once)) as mc:
        project_id = await project(mc)
        deleted = await mc.call("mission.project.delete", project_id=project_id, purge=True)
        assert deleted["archive"] is None
        assert not mc.mission.home.scope("p").path.exists()
        assert not mc.mission.home.packed_projects.exists()


async def test_an_archived_project_can_be_deleted(open_home: Open) -> None:
    async with open_home(ScriptedRunner(at_once)) as mc:
        project_id = await project(mc)
        await mc.call("mission.project.archive", project_id=project_id)
        await mc.call("mission.project.delete", project_id=project_id)
        assert ids(mc) == set()


async def test_a_deletion_with_the_same_key_never_touches_a_later_project_of_that_name(
    open_home: Open,
) -> None:
    runner = ScriptedRunner(for_ever)
    async with open_home(runner) as mc:
        delete = {"project_id": await project(mc), "idempotency_key": "k"}
        first = await mc.call("mission.project.delete", **delete)
        await project(mc)
        await until(mc, lambda: runner.recorded == {"shuri:p"})
        pulse = mc.mission.reads.open_pulse("shuri:p")
        assert await mc.call("mission.project.delete", **delete) == first
        assert mc.mission.reads.project("p").state is ProjectState.ACTIVE
        assert runner.running == {"shuri:p"}
        assert mc.mission.reads.open_pulse("shuri:p") == pulse


async def test_a_host_that_keeps_the_sessions_does_not_keep_the_project(open_home: Open) -> None:
    async with open_home(ClosedHost(at_once)) as mc:
        deleted = await mc.call("mission.project.delete", project_id=await project(mc))
        assert deleted["sessions_left"] == ["agent:main:mc:p:shuri"]
        assert ids(mc) == set()


async def test_a_project_whose_run_is_out_of_reach_is_not_deleted_and_goes_on(
    open_home: Open,
) -> None:
    runner = ScriptedRunner(for_ever)
    async with open_home(runner) as mc:
        project_id = await project(mc)
        await until(mc, lambda: "shuri:p" in runner.recorded)
        runner.away = "the host is away"
        with pytest.raises(Unavailable, match="may still run"):
            await mc.call("mission.project.delete", project_id=project_id)
        assert mc.mission.reads.project("p").state is ProjectState.ACTIVE
        runner.away = None
        await until(mc, lambda: bool(runner.recovered))


async def test_a_deletion_that_the_disk_stops_is_told_of_and_ended_by_the_next_start(
    open_home: Open,
) -> None:
    async with open_home(ScriptedRunner(at_once)) as mc:
        project_id = await project(mc)
        in_the_way = mc.mission.home.packed_projects
        in_the_way.parent.mkdir(parents=True, exist_ok=True)
        in_the_way.write_text("")
        with pytest.raises(Unavailable, match="the rest of its deletion failed"):
            await mc.call("mission.project.delete", project_id=project_id)
        assert (mc.mission.home.scope("p").src / "work.py").exists()
        for method in ("restore", "archive"):
            with pytest.raises(MissionError, match="is being deleted"):
                await mc.call(f"mission.project.{method}", project_id=project_id)
    in_the_way.unlink()
    async with open_home(ScriptedRunner(at_once)) as mc:
        await until(mc, lambda: ids(mc) == set())
        assert not mc.mission.home.scope("p").path.exists()
        assert len(list(in_the_way.iterdir())) == 1


async def test_a_link_to_a_project_elsewhere_is_removed_and_what_it_leads_to_stays(
    open_home: Open, tmp_path: Path
) -> None:
    async with open_home(ScriptedRunner(at_once)) as mc:
        project_id = await project(mc)
        await mc.call("mission.project.archive", project_id=project_id)
        folder = mc.mission.home.scope(project_id).path
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
        deleted = await mc.call("mission.project.delete", project_id=project_id)
        with tarfile.open(mc.mission.home.path / deleted["archive"]) as packed:
            assert "p/src/work.py" in packed.getnames()
        assert not folder.is_symlink()
        assert (tmp_path / "elsewhere/src/work.py").exists()


async def test_clients_are_told_that_a_project_is_gone_and_not_of_each_of_its_rows(
    open_home: Open,
) -> None:
    async with open_home(ScriptedRunner(at_once)) as mc:
        project_id = await project(mc)
        before = mc.mission.reads.last_seq()
        await mc.call("mission.project.delete", project_id=project_id)
        changes = mc.mission.reads.changes(before)
        told: list[Any] = [each for each in changes if each.kind == "project_updated"]
        assert [each.after is None for each in told] == [False, True]
        marked = next(n for n, each in enumerate(changes) if each.kind == "project_updated")
        assert {each.kind for each in changes[marked:]} == {"project_updated", "erased"}


async def test_what_was_marked_is_deleted_at_the_next_start(open_home: Open) -> None:
    async with open_home(ScriptedRunner(at_once)) as mc:
        await project(mc)
        await mc.call("mission.project.archive", project_id="p")
        begin = BeginDeletion("p", Deletion.PURGE)
        await mc.mission.store.write(begin, by="operator")
    async with open_home(ScriptedRunner(at_once)) as mc:
        await until(mc, lambda: ids(mc) == set())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_deletion_that_is_killed_at_any_step_is_ended_by_the_next_start(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SUPPORT / "deletion_kills.py", tmp_path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(SUPPORT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)
    assert {"end_session", "erased", "os.remove", "os.rename", "os.rmdir"} <= set(steps)
