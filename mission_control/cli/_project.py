"""`mission-control project …`."""

from __future__ import annotations

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
