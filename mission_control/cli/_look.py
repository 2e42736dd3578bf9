"""Looking inside, answering questions, and calling any method."""

from __future__ import annotations

import json
from typing import Any

import attrs
import click

from ..storage import Invalid
from . import _show
from ._group import Shared, main, pass_shared

HELP_COLUMNS = {"id": "question", "agent_id": "from", "urgency": "urgency", "issue": "issue"}
EVENT_COLUMNS = {"at": "at", "agent_id": "agent", "kind": "kind", "thought": "thought"}


@main.group("help")
def questions() -> None:
    """Questions that agents ask, and your answers."""


@questions.command("list")
@click.argument("project_id", required=False)
@pass_shared
def list_(shared: Shared, project_id: str | None) -> None:
    """List the questions that wait for an answer."""
    answer = shared.sidecar.call("mission.help.list", project_id=project_id)
    shared.show(answer, lambda value: _show.rows(value["help_requests"], HELP_COLUMNS))


@questions.command()
@click.argument("help_id")
@click.argument("answer")
@click.option("--then", "new_status", type=click.Choice(["in_progress", "backlog", "done"]))
@pass_shared
def answer(shared: Shared, /, **params: object) -> None:
    """Answer a question: its task goes on."""
    result = shared.sidecar.call("mission.help.answer", **params)
    shared.show(result, lambda value: _show.record(value["help_request"]))


@main.command()
@click.argument("project_id", required=False)
@click.option("--task", "task_id")
@click.option("--limit", type=int)
@click.option("--follow", is_flag=True, help="Go on with what happens next.")
@pass_shared
def events(
    shared: Shared, project_id: str | None, task_id: str | None, limit: int | None, follow: bool
) -> None:
    """Show the thoughts of a project or a task."""
    params = {"project_id": project_id, "task_id": task_id, "limit": limit}
    stream = _Stream(shared, task_id)
    if follow:
        shared.sidecar.follow("mission.event.list", show=stream.show, tell=stream.tell, **params)
    else:
        stream.show(shared.sidecar.call("mission.event.list", **params))


@attrs.frozen
class _Stream:
    """Thoughts: those that a list has, and then those that are told of; none twice."""

    _shared: Shared
    _task_id: str | None
    _listed: set[str] = attrs.field(factory=set, init=False)

    def show(self, found: dict[str, Any]) -> None:
        self._listed.update(event["id"] for event in found["events"])
        self._shared.show(found, lambda value: _show.rows(value["events"], EVENT_COLUMNS))

    def tell(self, event: dict[str, Any]) -> None:
        if event["method"] != "mission.thought_logged":
            return
        record = event["params"]["record"]
        wanted = self._task_id in (None, record["task_id"])
        if wanted and record["id"] not in self._listed:
            at = event["params"]["at"]
            click.echo(f"{at}  {record['agent_id'] or ''}  {record['thought']}")


@main.command()
@pass_shared
def tree(shared: Shared) -> None:
    """Show every actor."""
    found = shared.sidecar.call("mission.system.tree")
    shared.show(found, lambda value: _show.actors(value["tree"]))


@main.command()
@pass_shared
def status(shared: Shared) -> None:
    """Count what there is."""
    shared.show(shared.sidecar.call("mission.system.status"), _show.record)


@main.command()
@click.argument("thought")
@click.option("--task", "task_id", envvar="MISSION_CONTROL_TASK_ID", required=True)
@click.option("--action")
@pass_shared
def log(shared: Shared, /, **params: object) -> None:
    """Log a thought; inside a pulse, about the task in hand."""
    result = shared.sidecar.call("mission.control.log_event", **params)
    shared.show(result, lambda value: click.echo(value["event_id"]))


@main.command()
@click.argument("method")
@click.argument("params", default="{}")
@pass_shared
def call(shared: Shared, method: str, params: str) -> None:
    """Call any mission.* method; PARAMS is a JSON object."""
    try:
        given = json.loads(params)
    except ValueError as error:
        raise Invalid(f"PARAMS is not JSON: {error}", field="params") from error
    if not isinstance(given, dict):
        raise Invalid("PARAMS must be a JSON object", field="params")
    click.echo(json.dumps(shared.sidecar.call(method, **given), indent=2, ensure_ascii=False))
