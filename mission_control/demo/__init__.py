"""`mission-control demo`: a crew works on a project, with everything that may go wrong once."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import click
import trio
from rich.console import Console

from ..actors import Subscription
from ..app import MissionControl, open_mission_control
from ..config import Config
from ..logs import log_into
from ._human import answer_questions
from ._plot import set_up, settle
from ._story import complaints, failures, is_over
from ._view import View, agents, board, line, open_view

DEADLINE_S = 28.0


def run_demo(home: Path | None) -> None:
    """Run the demo in *home*, or in a folder that is kept for looking at.

    Exits with 1, and says why, when a task did not end as it should.
    """
    place = home if home is not None else Path(tempfile.mkdtemp(prefix="mission-control-demo-"))
    # The crash reports are part of the show; they are told at the end, not in between.
    with log_into(place, console=None):
        problems = trio.run(_play, place.absolute(), settle(place), Console(highlight=False))
    for problem in problems:
        click.echo(f"mission-control demo: {problem}", err=True)
    if problems:
        sys.exit(1)


async def _play(home: Path, config: Config, console: Console) -> list[str]:
    console.print(f"A crew of three begins to work in {home}", soft_wrap=True)
    async with open_mission_control(home, config) as mc, trio.open_nursery() as nursery:
        await nursery.start(answer_questions, mc.url, mc.token)
        async with await mc.subscribe() as changes:
            project_id = await set_up(mc)
            with trio.move_on_after(DEADLINE_S), open_view(console, mc, project_id) as view:
                await _watch(mc, project_id, changes, view)
        _tell_the_end(mc, project_id, home, console)
        problems = complaints(mc, project_id)
        nursery.cancel_scope.cancel()
    return problems


async def _watch(mc: MissionControl, project_id: str, changes: Subscription, view: View) -> None:
    """Show every change until all is done."""
    async for change in changes:
        after = json.loads(change.after) if change.after is not None else {}
        told = line(mc, change, after) if after else None
        if told is not None:
            view.tell(told)
        view.refresh()
        if is_over(mc, project_id):
            return


def _tell_the_end(mc: MissionControl, project_id: str, home: Path, console: Console) -> None:
    scope = mc.mission.home.scope(project_id)
    console.print(board(mc, project_id))
    console.print(agents(mc, project_id))
    console.print("\nWhat went wrong, and what became of it:", style="bold")
    for story in failures(mc, project_id):
        console.print(f"- {story}", markup=False, soft_wrap=True)
    console.print("\nLook at:", style="bold")
    for path in (scope.kanban, scope.chronicle, scope.src, mc.mission.home.database):
        console.print(f"  {path}", soft_wrap=True)
    console.print(f"\nGo on with: mission-control --home {home} run", soft_wrap=True)
