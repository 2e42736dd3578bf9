"""`mission-control session …`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from rich.text import Text

from . import _show
from ._group import Shared, main, pass_shared

COLUMNS = {
    "instance_id": "agent",
    "key": "key",
    "runner": "runner",
    "created_at": "began",
}


@main.group()
def session() -> None:
    """The conversations of agents: begin, look into, begin afresh, remove."""


@session.command("list")
@click.argument("project_id", required=False)
@pass_shared
def list_(shared: Shared, project_id: str | None) -> None:
    """List the sessions of one project, or of all."""
    answer = shared.sidecar.call("mission.session.list", project_id=project_id)
    shared.show(answer, lambda value: _show.rows(value["sessions"], COLUMNS))


@session.command()
@click.argument("instance_id", metavar="SOUL:PROJECT")
@pass_shared
def status(shared: Shared, instance_id: str) -> None:
    """Show how a session stands, here and in the Gateway."""
    answer = shared.sidecar.call("mission.session.status", instance_id=instance_id)
    shared.show(answer, _print_status)


def _print_status(answer: Mapping[str, Any]) -> None:
    known, host = answer["session"] or {}, answer["in_host"] or {}
    there = {None: "unknown", True: "yes", False: "no"}[answer["known_in_host"]]
    _show.record(
        {
            "agent": answer["instance_id"],
            "known here": "yes" if answer["known"] else "no",
            "known in the host": there,
            "host is away": answer["away"],
            "key": known.get("key"),
            "session": known.get("session_id"),
            "session in the host": host.get("session_id"),
            "works in": host.get("cwd"),
            "last said": host.get("updated_at"),
            "busy": "yes" if answer["busy"] else "no",
        }
    )


@session.command()
@click.argument("instance_id", metavar="SOUL:PROJECT")
@click.argument("text")
@pass_shared
def inject(shared: Shared, instance_id: str, text: str) -> None:
    """Leave a note for the next status text; it causes no pulse."""
    answer = shared.sidecar.call("mission.session.inject", instance_id=instance_id, text=text)
    shared.show(answer, lambda value: click.echo(value["message_id"]))


@session.command()
@click.argument("instance_id", metavar="SOUL:PROJECT")
@click.option("--cursor", help="Of an earlier page, as the last line of another says.")
@click.option("--limit", type=int, help="How many entries; 50 by default.")
@pass_shared
def logs(shared: Shared, instance_id: str, cursor: str | None, limit: int | None) -> None:
    """Show what was said in a session, the newest page first."""
    answer = shared.sidecar.call(
        "mission.session.logs", instance_id=instance_id, cursor=cursor, limit=limit
    )
    shared.show(answer, _print_page)


def _print_page(answer: Mapping[str, Any]) -> None:
    for entry in answer["entries"]:
        head = " ".join(filter(None, (entry["at"], entry["role"], entry["tool"])))
        _show.console.print(Text(head, style="bright_black"))
        _show.console.print(Text(entry["text"]))
    if not answer["entries"]:
        _show.console.print("none")
    if answer["earlier"]:
        _show.console.print(Text(f"earlier: --cursor {answer['earlier']}", style="bright_black"))


def _simple(name: str, doc: str) -> None:
    @session.command(name, help=doc)
    @click.argument("instance_id", metavar="SOUL:PROJECT")
    @pass_shared
    def command(shared: Shared, instance_id: str) -> None:
        answer = shared.sidecar.call(f"mission.session.{name}", instance_id=instance_id)
        shared.show(answer, lambda value: _show.record(value["session"]))


_simple("create", "Begin a session now, before the first pulse needs it.")
_simple("restart", "Begin a session afresh: the agent remembers nothing of it.")
_simple("destroy", "Remove a session; the next pulse makes another.")
