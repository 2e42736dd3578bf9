"""Kills sidecars that delete a project, at each kind of step.  A program: argv is a folder.

It forks, which only a process without threads may do, and which costs a hundredth of a new Python.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
import tarfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import trio

import mission_control
from mission_control import Config, MissionControl
from mission_control.actors import Life, Outcome, PulseOrder, SessionOrder
from mission_control.config import ListenSettings
from mission_control.storage._table import project_tables
from mission_control.storage.commands import erasure
from rig import DONE, FAST, ScriptedRunner, crew, until
from schema_kills import ended, forked

TOUCHING = {"os.rename", "os.remove", "os.rmdir"}
FILES = {"src/a", "src/deep/b", ".context", "KANBAN.md", "agents/shuri/SOUL.md"}
ERASED_AT_ONCE = 3


@attrs.define
class Killer:
    """Counts the steps of a deletion, by kind, and ends the process at one of them."""

    at: int = 0
    told: list[str] = attrs.field(factory=list)
    armed: bool = False

    def step(self, what: str) -> None:
        if self.armed:
            self.told.append(what)
            if len(self.told) == self.at:
                os.kill(os.getpid(), signal.SIGKILL)

    def heard(self, event: str, args: tuple[Any, ...]) -> None:
        if event in TOUCHING:
            self.step(event)


class Host(ScriptedRunner):
    """Ends sessions a step after it was asked to."""

    killer: Killer

    async def end_session(self, order: SessionOrder) -> None:
        await super().end_session(order)
        self.killer.step("end_session")


def running(home: Path, work: Callable[[MissionControl], Awaitable[None]], killer: Killer) -> None:
    async def idle(order: PulseOrder, life: Life) -> Outcome:
        return DONE

    async def main() -> None:
        runner = Host(idle)
        runner.killer = killer
        config = Config(listen=ListenSettings(port=0), pulse=FAST)
        async with mission_control.open(home, config, runner=runner) as mc:
            await work(mc)

    trio.run(main)


async def furnished(mc: MissionControl) -> None:
    for name in ("P", "Q"):
        project_id = await crew(mc, "shuri", project=name)
        task = {"project_id": project_id, "title": "one", "assignee_id": "shuri"}
        await mc.call("mission.task.create", **task)
    await until(mc, lambda: all(mc.mission.reads.session(f"shuri:{p}") for p in "pq"))
    await until(mc, lambda: not any(mc.mission.reads.open_pulse(f"shuri:{p}") for p in "pq"))
    refinement = {"soul_text": "Be brief.", "refinement": True}
    await mc.call("mission.agent.upgrade", instance_id="shuri:p", **refinement)
    folder = mc.mission.home.scope("p").path
    (folder / "src/deep").mkdir()
    (folder / "src/a").write_text("a")
    (folder / "src/deep/b").write_text("b")
    (folder / "src/out").symlink_to("/nowhere")
    (folder / "src/deep").chmod(0o500)


async def deleting(mc: MissionControl, killer: Killer) -> None:
    async with trio.open_nursery() as nursery:
        changes = await mc.subscribe()

        async def watch() -> None:
            async with changes:
                async for change in changes:
                    killer.step(change.kind)

        nursery.start_soon(watch)
        killer.armed = True
        await mc.call("mission.project.delete", project_id="p")
        await until(mc, lambda: changes.cursor == mc.mission.reads.last_seq())
        killer.armed = False
        nursery.cancel_scope.cancel()


async def finished(mc: MissionControl) -> None:
    """Wait until what was begun is ended; where it was not, begin it."""
    reads = mc.mission.reads
    (project,) = [p for p in reads.projects() if p.id == "p"] or (None,)
    if project is not None and project.deleting is None:
        await mc.call("mission.project.delete", project_id="p")
    await until(mc, lambda: not any(p.id == "p" for p in reads.projects()))


def look(home: Path) -> None:
    """See that nothing of the project is left but one whole archive, and that the other stands."""
    assert not (home / "projects/p").exists()
    assert (home / "projects/q/KANBAN.md").exists()
    folder = home / "backups/mission-control/projects"
    (archive,) = folder.iterdir()
    with tarfile.open(archive) as packed:
        names = set(packed.getnames())
        assert names >= {f"p/{name}" for name in FILES}, names
        link = packed.getmember("p/src/out")
        assert (link.issym(), link.linkname) == (True, "/nowhere")
    with closing(sqlite3.connect(home / "mission-control.db")) as connection:
        for table in project_tables():
            sql = f"SELECT count(*) FROM {table.name} WHERE project_id = ?"  # noqa: S608
            assert connection.execute(sql, ["p"]).fetchone() == (0,), table.name
        assert connection.execute("SELECT id FROM projects").fetchall() == [("q",)]
        assert connection.execute("SELECT count(*) FROM tasks").fetchone() == (1,)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def telling(steps: list[str]) -> list[int]:
    """Return the first, a middle and the last step of each kind, by number."""
    found = set()
    for kind in set(steps):
        places = [number for number, step in enumerate(steps, 1) if step == kind]
        found |= {places[0], places[len(places) // 2], places[-1]}
    return sorted(found)


def steps_of(home: Path, answer: Path) -> list[str]:
    """Return the steps of a deletion that nobody kills, made in a child."""

    def work() -> None:
        killer = Killer()
        sys.addaudithook(killer.heard)
        running(home, lambda mc: deleting(mc, killer), killer)
        answer.write_text(json.dumps(killer.told))

    assert ended(forked(work)) == 0
    look(home)
    steps: list[str] = json.loads(answer.read_text())
    return steps


def killed(home: Path, at: int) -> None:
    def work() -> None:
        killer = Killer(at)
        sys.addaudithook(killer.heard)
        running(home, lambda mc: deleting(mc, killer), killer)

    # The order of what is done beside each other may differ: a run may have fewer steps.
    assert ended(forked(work)) in (-signal.SIGKILL, 0)


def main(folder: Path) -> None:
    erasure.ERASED_AT_ONCE = ERASED_AT_ONCE
    original = folder / "home"
    assert ended(forked(lambda: running(original, furnished, Killer()))) == 0
    whole = folder / "whole"
    shutil.copytree(original, whole, symlinks=True)
    steps = steps_of(whole, folder / "steps")
    for at in telling(steps):
        home = folder / str(at)
        shutil.copytree(original, home, symlinks=True)
        killed(home, at)
        assert ended(forked(lambda home=home: running(home, finished, Killer()))) == 0  # type: ignore[misc]
        look(home)
    sys.stdout.write(json.dumps({kind: steps.count(kind) for kind in sorted(set(steps))}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
