"""`mission-control agent import`: what a Gateway has already becomes souls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import click
import trio

from ..actors import Home
from ..config import load_config
from ..gateway import gateway_address
from ..gateway_bridge import agents_of, open_connection, soul_of
from ..storage import Deadline, Invalid
from . import _show
from ._agent import agent
from ._group import Shared, pass_shared

READ_WITHIN_S = 60.0

COLUMNS = {
    "id": "agent",
    "model": "model",
    "workspace": "workspace",
    "soul": "as soul",
    "has_soul": "SOUL.md",
    "installed": "installed",
}


@agent.command("import")
@click.argument("names", nargs=-1)
@click.option("--project", "project_id", help="Put them to work there, too.")
@click.option("--gateway", help="Read this Gateway, not the one of the sidecar.")
@click.option("--token-file", help="Holds the Gateway's token.")
@pass_shared
def import_(
    shared: Shared,
    names: tuple[str, ...],
    project_id: str | None,
    gateway: str | None,
    token_file: str | None,
) -> None:
    """List the agents that the Gateway has of its own, or make souls of those that are named."""
    given = {"url": gateway, "token_file": token_file}
    flags = {name: value for name, value in given.items() if value is not None}
    read = trio.run(_read, Home(shared.home), flags, names) if flags else None
    answer = shared.sidecar.call(
        "mission.agent.import", names=list(names) or None, project_id=project_id, agents=read
    )
    shared.show(answer, _print)


async def _read(home: Home, flags: dict[str, Any], names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Read the agents of another Gateway, and SOUL.md of those that matter."""
    config = load_config(home.path, {"gateway": flags})
    if not config.gateway.url:
        raise Invalid("which Gateway is it? give --gateway", field="gateway.url")
    address = gateway_address(config, home)
    with trio.move_on_after(READ_WITHIN_S):
        async with open_connection(address, lambda _: None) as connection:
            return [
                attrs.asdict(each) | {"soul_text": await soul_of(connection.call, each.id)}
                for each in await agents_of(connection.call)
                if not names or each.id in names
            ]
    raise Deadline(f"the Gateway at {address.url} did not answer in {READ_WITHIN_S:g} s")


def _print(answer: Mapping[str, Any]) -> None:
    if "agents" in answer:
        _show.rows(answer["agents"], COLUMNS)
    for imported in answer.get("imported", ()):
        click.echo(imported.get("instance_id") or imported["soul"])
