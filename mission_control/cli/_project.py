"""`mission-control project …`."""

from __future__ import annotations

from typing import Any

import click

from . import _show
from ._group import Shared, main, pass_shared

COLUMNS = {"id": "project", "name": "name", "state": "state", "created_at": "created"}


@main.group()
def project() -> None:
    """Boards and their folders."""


@project.command()
@click.argument("name")
@click.option("--base", "base_id", help="A project whose rules and agents are copied.")
@pass_shared
def init(shared: Shared, name: str, base_id: str | None) -> None:
    """Begin a project."""
    answer = shared.sidecar.call("mission.project.init", project_name=name, base_id=base_id)
    shared.show(answer, lambda value: click.echo(value["project_id"]))


@project.command("list")
@pass_shared
def list_(shared: Shared) -> None:
    """List all projects."""
    answer = shared.sidecar.call("mission.project.list")
    shared.show(answer, lambda value: _show.rows(value["projects"], COLUMNS))


@project.command()
@click.argument("project_id")
@click.argument("name")
@pass_shared
def rename(shared: Shared, project_id: str, name: str) -> None:
    """Change what a project is called."""
    answer = shared.sidecar.call("mission.project.rename", project_id=project_id, project_name=name)
    shared.show(answer, lambda value: _show.record(value["project"]))


@project.command()
@click.argument("project_id")
@click.option("--purge", is_flag=True, help="Keep no archive of its folder.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_shared
def delete(shared: Shared, project_id: str, purge: bool, yes: bool) -> None:
    """Delete a project for good: agents, board and folder.

    Its folder is packed into a file among the backups.
    """
    if not yes:
        click.confirm(f"Delete project {project_id} for good?", abort=True, err=True)
    answer = shared.sidecar.call("mission.project.delete", project_id=project_id, purge=purge)
    shared.show(answer, _tell_deleted)


def _tell_deleted(value: dict[str, Any]) -> None:
    kept = f"; its folder is in {value['archive']}" if value["archive"] else ""
    click.echo(f"deleted {value['project_id']}{kept}")
    for key in value["sessions_left"]:
        click.echo(f"session {key} could not be ended and is left in its host", err=True)


def _simple(name: str, doc: str) -> None:
    @project.command(name, help=doc)
    @click.argument("project_id")
    @pass_shared
    def command(shared: Shared, project_id: str) -> None:
        answer = shared.sidecar.call(f"mission.project.{name}", project_id=project_id)
        shared.show(answer, lambda value: _show.record(value["project"]))


_simple("get", "Show one project.")
_simple("archive", "Stop a project's agents and put it away.")
_simple("restore", "Bring an archived project back.")
