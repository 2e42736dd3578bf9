"""`mission-control doctor`: what is wrong here, and how to mend it."""

from __future__ import annotations

import sys
from typing import Any

import attrs
import click
import trio
from rich.table import Table
from rich.text import Text

from ..actors import Home
from ..config import load_config
from ..gateway import gateway_address
from ..storage import MissionError
from . import _show
from ._group import Shared, main, pass_shared

_STYLES = {"ok": "green", "hint": "cyan", "warning": "yellow", "fault": "red"}


@main.command()
@click.option("--gateway", help="Examine this Gateway, not the one of the settings.")
@click.option("--token-file", help="Holds the Gateway's token.")
@click.option("--gateway-agent", help="The Gateway's agent that lends model and tools.")
@pass_shared
def doctor(
    shared: Shared, gateway: str | None, token_file: str | None, gateway_agent: str | None
) -> None:
    """Say in one screen what is wrong and how to mend it; exit code 1 where something will fail."""
    given = {"url": gateway, "token_file": token_file, "agent": gateway_agent}
    flags = {"gateway": {name: value for name, value in given.items() if value is not None}}
    findings = _wire(trio.run(_examine, Home(shared.home), flags))
    shared.show(findings, _print)
    if any(finding["level"] == "fault" for finding in findings):
        sys.exit(1)


async def _examine(home: Home, flags: dict[str, dict[str, Any]]) -> list[Any]:
    # Imported here: no other command needs it.
    from ..doctor import (  # noqa: PLC0415
        Finding,
        Level,
        examine_commands,
        examine_gateway,
        examine_host,
        examine_sidecar,
    )

    found = [*examine_host(home), *await examine_sidecar(home)]
    try:
        config = load_config(home.path, flags)
        if not config.gateway.url:
            what = "none is set: pulses run as local processes"
            todo = "give --gateway and --token-file to examine one"
            gateway = Finding("Gateway", Level.HINT, what, todo)
            return [*found, gateway, *examine_commands(config.process)]
        address = gateway_address(config, home)
    except MissionError as wrong:
        return [*found, Finding("settings", Level.FAULT, wrong.message, "mend the setting")]
    return [*found, *await examine_gateway(address, config.gateway.agent, home.path)]


def _wire(findings: list[Any]) -> list[dict[str, str]]:
    return [attrs.asdict(finding) | {"level": finding.level.value} for finding in findings]


def _print(findings: list[dict[str, str]]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        text = Text(finding["text"])
        if finding["remedy"]:
            text.append(f"\n-> {finding['remedy']}", style="bold")
        level = finding["level"]
        table.add_row(Text(level, style=_STYLES[level]), finding["topic"], text)
    _show.console.print(table)
