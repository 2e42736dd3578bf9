"""`mission-control agent …`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from ..storage import Invalid
from . import _show
from ._group import Shared, main, pass_shared

COLUMNS = {
    "id": "agent",
    "status": "status",
    "slot": "slot",
    "interval_s": "every",
    "current_task_id": "task",
    "last_pulse_at": "last pulse",
}


@main.group()
def agent() -> None:
    """Souls at work: put them into projects, pause, wake, tell them."""


@agent.command()
@click.argument("instance_id", metavar="SOUL:PROJECT")
@click.option("--soul-file", type=click.Path(path_type=Path), help="Its SOUL.md.")
@click.option("--command", help="What a local process runs as this agent.")
@click.option("--profile", help="In place of a command: claude, codex or gemini.")
@click.option("--gateway-agent", help="The Gateway's agent that lends model and tools.")
@click.option("--interval-s", type=float)
@click.option("--timeout-s", type=float)
@click.option("--max-retries", type=int)
@pass_shared
def create(
    shared: Shared, /, soul_file: Path | None, command: str | None, **params: object
) -> None:
    """Put a soul to work in a project."""
    answer = shared.sidecar.call(
        "mission.agent.create",
        soul_text=_text(soul_file) if soul_file is not None else None,
        command=shlex.split(command) if command else None,
        **params,
    )
    shared.show(answer, lambda value: click.echo(value["instance_id"]))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"cannot read {path}: {error}", field="soul_file") from error


@agent.command()
@click.argument("instance_id", metavar="SOUL:PROJECT")
@click.argument("soul_file", type=click.Path(path_type=Path), required=False)
@click.option("--sha256", help="Go back to the older version with this checksum.")
@click.option("--refinement", is_flag=True, help="For this project only, added to its soul.")
@pass_shared
def upgrade(shared: Shared, /, soul_file: Path | None, **params: object) -> None:
    """Install a new SOUL.md, which counts from the next pulse on."""
    text = _text(soul_file) if soul_file is not None else None
    answer = shared.sidecar.call("mission.agent.upgrade", soul_text=text, **params)
    shared.show(answer, lambda value: click.echo(value["sha256"]))


@agent.command("list")
@click.argument("project_id", required=False)
@pass_shared
def list_(shared: Shared, project_id: str | None) -> None:
    """List the agents of one project, or of all."""
    answer = shared.sidecar.call("mission.agent.list", project_id=project_id)
    shared.show(answer, lambda value: _show.rows(value["agents"], COLUMNS))


@agent.command()
@click.argument("instance_id", metavar="SOUL:PROJECT")
@click.argument("text")
@pass_shared
def message(shared: Shared, instance_id: str, text: str) -> None:
    """Leave a note for an agent, which is woken to read it."""
    answer = shared.sidecar.call("mission.agent.message", instance_id=instance_id, text=text)
    shared.show(answer, lambda value: click.echo(_delivery(value)))


def _delivery(sent: dict[str, Any]) -> str:
    queued = f" queued: {sent['why']}" if sent["why"] else ""
    return f"{sent['message_id']}{queued}"


def _simple(name: str, method: str, doc: str) -> None:
    @agent.command(name, help=doc)
    @click.argument("instance_id", metavar="SOUL:PROJECT")
    @pass_shared
    def command(shared: Shared, instance_id: str) -> None:
        answer = shared.sidecar.call(f"mission.agent.{method}", instance_id=instance_id)
        shared.show(answer, lambda value: _show.record(value["agent"]))


_simple("show", "get_state", "Show one agent.")
_simple("pause", "pause", "Give an agent no further pulses.")
_simple("resume", "resume", "Let a paused agent go on.")
_simple("trigger", "trigger", "Run a pulse now.")
_simple("kill", "kill", "Abort the attempt that runs now.")
_simple("destroy", "destroy", "Take an agent out of its project.")
