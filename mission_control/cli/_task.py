"""`mission-control task …` and `mission-control board`."""

from __future__ import annotations

import click

from . import _show
from ._group import Shared, main, pass_shared

COLUMNS = {
    "status_name": "status",
    "priority": "P",
    "title": "title",
    "assignee": "soul",
    "attempts": "tries",
    "id": "id",
}
SHOWN_AT_ONCE = 1_000
STATUSES = ["backlog", "in_progress", "done", "blocked", "archived"]


@main.group()
def task() -> None:
    """Cards: make, move, assign, ask why."""


@task.command()
@click.argument("project_id")
@click.argument("title")
@click.option("--soul", "assignee_id", help="Who works on it.")
@click.option("--priority", type=int, help="1 (high) to 5 (low); 3 by default.")
@click.option("--description")
@click.option("--label", "labels", multiple=True)
@click.option("--depends-on", multiple=True, help="A task that must be done first.")
@click.option("--due-at", help="As 2026-11-22T18:00:00Z.")
@click.option("--side-effects", is_flag=True, default=None, help="Never repeat it blindly.")
@pass_shared
def create(shared: Shared, /, **params: object) -> None:
    """Put a new task into the backlog."""
    for name in ("labels", "depends_on"):
        params[name] = params[name] or None
    answer = shared.sidecar.call("mission.task.create", **params)
    shared.show(answer, lambda value: click.echo(value["task_id"]))


@task.command("list")
@click.argument("project_id")
@click.option("--status", type=click.Choice(STATUSES))
@click.option("--soul", "assignee_id")
@click.option("--label")
@click.option("--text")
@click.option("--limit", type=int)
@pass_shared
def list_(shared: Shared, /, **params: object) -> None:
    """List tasks, column by column, by priority and age."""
    answer = shared.sidecar.call("mission.task.list", **params)
    shared.show(answer, lambda value: _show.rows(value["tasks"], COLUMNS))


@main.command()
@click.argument("project_id")
@click.option(
    "--at",
    metavar="TIME|CURSOR",
    help="As it was: 2026-11-22T18:00:00Z (UTC where it has no offset), -2h, or a cursor.",
)
@pass_shared
def board(shared: Shared, project_id: str, at: str | None) -> None:
    """Show a project's board, as it is or as it was."""
    answer = shared.sidecar.call(
        "mission.task.list", project_id=project_id, at=at, limit=SHOWN_AT_ONCE
    )
    shared.show(answer, lambda value: _show.rows(value["tasks"], COLUMNS))
    if answer["next"] is not None:
        click.echo(f"only the first {SHOWN_AT_ONCE} cards are shown", err=True)


@task.command()
@click.argument("task_id")
@click.argument("new_status", type=click.Choice(STATUSES))
@click.option("--expected-version", type=int)
@pass_shared
def move(shared: Shared, /, **params: object) -> None:
    """Move a task to another column."""
    answer = shared.sidecar.call("mission.task.move", **params)
    shared.show(answer, lambda value: _show.record(value["task"]))


@task.command()
@click.argument("task_id")
@click.argument("assignee_id", required=False)
@pass_shared
def assign(shared: Shared, /, **params: object) -> None:
    """Give a task to a soul, or to nobody."""
    answer = shared.sidecar.call("mission.task.assign", **params)
    shared.show(answer, lambda value: _show.record(value["task"]))


@task.command("hand-off")
@click.argument("task_id")
@click.argument("to", metavar="SOUL")
@click.argument("note")
@click.option("--expected-version", type=int)
@pass_shared
def hand_off(shared: Shared, /, **params: object) -> None:
    """Give a task to another soul, with a note that it reads first."""
    answer = shared.sidecar.call("mission.task.hand_off", **params)
    shared.show(answer, lambda value: _show.record(value["task"]))


@task.command()
@click.argument("task_id")
@click.option("--title")
@click.option("--description")
@click.option("--priority", type=int)
@click.option("--depends-on", multiple=True)
@pass_shared
def update(shared: Shared, /, **params: object) -> None:
    """Change what a task says."""
    params["depends_on"] = params["depends_on"] or None
    answer = shared.sidecar.call("mission.task.update", **params)
    shared.show(answer, lambda value: _show.record(value["task"]))


def _simple(name: str, doc: str, member: str) -> None:
    @task.command(name, help=doc)
    @click.argument("task_id")
    @pass_shared
    def command(shared: Shared, task_id: str) -> None:
        answer = shared.sidecar.call(f"mission.task.{name}", task_id=task_id)
        words = click.echo if member == "why" else _show.record
        shared.show(answer, lambda value: words(value[member]))


_simple("get", "Show one task.", "task")
_simple("delete", "Remove a task; its thoughts stay.", "task")
_simple("why", "Say in one sentence what happens with a task.", "why")
