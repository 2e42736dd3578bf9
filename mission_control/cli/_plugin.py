"""`mission-control install-plugin` and `uninstall-plugin`."""

from __future__ import annotations

import shlex
import sys
from urllib.parse import urlsplit

import click

from ..gateway_bridge import install_plugin, uninstall_plugin
from ._group import Shared, main, pass_shared

openclaw_option = click.option(
    "--openclaw", default="openclaw", show_default=True, help="The OpenClaw command."
)


@main.command("install-plugin")
@openclaw_option
@click.option(
    "--sidecar", default="ws://127.0.0.1:18700/bridge", show_default=True, help="Its bridge."
)
@click.option("--spawn", is_flag=True, help="The Gateway is to start and end the sidecar itself.")
@pass_shared
def install(shared: Shared, openclaw: str, sidecar: str, spawn: bool) -> None:
    """Put the bridge plugin into a Gateway; takes about 20 s."""
    report = install_plugin(
        shlex.split(openclaw),
        url=sidecar,
        token_file=shared.home / "mission-control.token",
        spawn=_sidecar(shared, sidecar) if spawn else (),
    )
    click.echo(
        f"plugin {report.version} installed: {len(report.methods)} methods,"
        f" {len(report.tools)} tools"
    )


@main.command("uninstall-plugin")
@openclaw_option
def uninstall(openclaw: str) -> None:
    """Take the bridge plugin out of a Gateway."""
    removed = uninstall_plugin(shlex.split(openclaw))
    click.echo("plugin removed" if removed else "the Gateway does not have the plugin")


def _sidecar(shared: Shared, url: str) -> list[str]:
    """Return the command that runs the sidecar of this home for the plugin."""
    command = [sys.executable, "-m", "mission_control", "--home", str(shared.home)]
    return [*command, "run", "--until-eof", "--port", str(urlsplit(url).port or 18700)]
