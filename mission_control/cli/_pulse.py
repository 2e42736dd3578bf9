"""`mission-control pulse …`, and the budgets that pulses are held to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..storage import Invalid
from . import _show
from ._group import Shared, main, pass_shared
from ._project import project

COLUMNS = {
    "started_at": "started",
    "agent_id": "agent",
    "kind": "for",
    "attempt": "attempt",
    "state": "state",
    "outcome": "outcome",
    "tokens": "tokens",
    "cost_usd": "USD",
    "id": "id",
}


@main.group()
def pulse() -> None:
    """What wakes agents, and what came of it."""


@pulse.command("list")
@click.argument("project_id", required=False)
@click.option("--agent", "instance_id", metavar="SOUL:PROJECT")
@click.option("--task", "task_id")
@click.option("--limit", type=int)
@pass_shared
def list_(shared: Shared, /, **params: object) -> None:
    """List pulses, newest first; without an owner, those that run now."""
    found = shared.sidecar.call("mission.pulse.list", **params)
    shared.show(found, lambda value: _show.rows(value["pulses"], COLUMNS))


@pulse.command()
@click.argument("pulse_id")
@pass_shared
def show(shared: Shared, pulse_id: str) -> None:
    """Show one pulse: what it was for, how it ended, what it took."""
    found = shared.sidecar.call("mission.pulse.get", pulse_id=pulse_id)
    shared.show(found, lambda value: _show.record(value["pulse"]))


@pulse.command()
@click.argument("project_id", required=False)
@pass_shared
def watch(shared: Shared, project_id: str | None) -> None:
    """List the pulses that run, or the last of a project, and go on with what happens next."""
    shared.sidecar.follow(
        "mission.pulse.list",
        show=lambda found: shared.show(found, lambda value: _show.rows(value["pulses"], COLUMNS)),
        tell=_tell,
        project_id=project_id,
    )


def _tell(event: dict[str, Any]) -> None:
    if event["method"] != "mission.pulse_updated":
        return
    record, at = event["params"]["record"], event["params"]["at"]
    ended = f": {record['outcome']} {record['detail']}" if record["outcome"] else ""
    what = f"{record['agent_id']}  {record['kind']} {record['attempt']}"
    click.echo(f"{at}  {what}  {record['state']}{ended}".rstrip())


@pulse.command()
@click.argument("instance_id", metavar="SOUL:PROJECT")
@click.option("--interval-s", type=float)
@click.option("--timeout-s", type=float)
@click.option("--max-retries", type=int)
@pass_shared
def schedule(shared: Shared, /, **params: object) -> None:
    """Say when an agent is woken, how long a pulse may take, how often a task may fail."""
    answer = shared.sidecar.call("mission.pulse.schedule", **params)
    shared.show(answer, lambda value: _show.record(value["agent"]))


def _simple(name: str, doc: str, *, reason: bool = False) -> None:
    @pulse.command(name, help=doc)
    @click.argument("instance_id", metavar="SOUL:PROJECT")
    @pass_shared
    def command(shared: Shared, /, **params: object) -> None:
        answer = shared.sidecar.call(f"mission.pulse.{name}", **params)
        shared.show(answer, lambda value: _show.record(value["agent"]))

    if reason:
        command.params.append(click.Option(["--reason"], help="For whoever reads why it ended."))


_simple("trigger", "Run a pulse of an agent now.")
_simple("kill", "Abort the attempt that runs now; its task goes back.", reason=True)
_simple("restart", "Abort the attempt that runs now, and begin another.", reason=True)
_simple("pause", "Give an agent no further pulses.")
_simple("resume", "Let a paused agent go on.")


@pulse.command()
@click.argument("project_id", required=False)
@click.option("--set", "file", type=click.Path(path_type=Path), help="Use this file.")
@click.option("--reset", is_flag=True, help="Go back to what would be used without it.")
@pass_shared
def template(shared: Shared, project_id: str | None, file: Path | None, reset: bool) -> None:
    """Show or replace the words that begin each pulse, of a project or of all others."""
    if file is not None and reset:
        raise Invalid("give --set or --reset, not both", field="template")
    if file is None and not reset:
        answer = shared.sidecar.call("mission.pulse.template", project_id=project_id)
    else:
        words = {"template": _words(file)} if file is not None else {}
        answer = shared.sidecar.call("mission.pulse.set_template", project_id=project_id, **words)
    shared.show(answer, _show_template)


def _words(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"cannot read {file}: {error}", field="template") from error


def _show_template(answer: dict[str, Any]) -> None:
    click.echo(answer["template"], nl=not answer["template"].endswith("\n"))
    click.echo(f"-- from {answer['source']}", err=True)
    for problem in answer["problems"]:
        click.echo(f"-- not used: {problem}", err=True)


@project.command()
@click.argument("project_id", required=False)
@click.option("--tokens-per-day", type=int)
@click.option("--cost-usd-per-day", type=float)
@click.option("--warn-at", type=float, help="The share of either at which to warn; 0.8 at first.")
@click.option("--lift", is_flag=True, default=None, help="Away with the limits not given.")
@pass_shared
def budget(shared: Shared, /, **params: object) -> None:
    """Show or set what a project, or without one the home, may spend a day (UTC)."""
    answer = shared.sidecar.call("mission.project.budget", **params)
    shared.show(answer, lambda value: click.echo(value["spending"]))
