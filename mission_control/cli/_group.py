"""The command itself, and what all its parts share: home, output, errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import attrs
import click

from ..default_home import default_home
from ..storage import MissionError
from ..supervisor import SupervisorGaveUp
from ._sidecar import Sidecar


@attrs.frozen
class Shared:
    """Options that stand before every sub-command."""

    home: Path
    url: str | None
    as_json: bool

    @property
    def sidecar(self) -> Sidecar:
        """The sidecar that is to be talked to."""
        return Sidecar.find(self.home, self.url)

    def show(self, value: Any, words: Callable[[Any], object]) -> None:
        """Print an answer: as JSON where that was asked for, else in words."""
        if self.as_json:
            click.echo(json.dumps(value, indent=2, ensure_ascii=False))
        else:
            words(value)


pass_shared = click.make_pass_decorator(Shared)


_MODULES: dict[str, tuple[str, ...]] = {
    "agent": ("_agent", "_import"),
    "backup": ("_backup",),
    "board": ("_task",),
    "call": ("_look",),
    "db": ("_db",),
    "demo": ("_run",),
    "doctor": ("_doctor",),
    "events": ("_look",),
    "file": ("_file",),
    "help": ("_look",),
    "install-plugin": ("_plugin",),
    "log": ("_look",),
    "project": ("_project", "_pulse"),
    "pulse": ("_pulse",),
    "run": ("_run",),
    "session": ("_session",),
    "status": ("_look",),
    "task": ("_task",),
    "token": ("_token",),
    "tree": ("_look",),
    "uninstall-plugin": ("_plugin",),
}
"""Where each command and its sub-commands are; loaded when somebody wants it."""


class _Commands(click.Group):
    """Loads the command that is wanted, and turns every refusal into one line and its exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click has it
        """Return their names."""
        return sorted(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name."""
        for module in _MODULES.get(cmd_name, ()):
            import_module(f".{module}", __package__)
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the sub-command."""
        try:
            return super().invoke(ctx)
        except MissionError as refusal:
            _fail(refusal.message, refusal.exit_code)
        except SupervisorGaveUp as failure:
            _fail(f"stopped: a part failed too often ({failure}); the log has the reason", 70)
        except BrokenPipeError:
            raise  # whoever reads has had enough: click knows
        except OSError as error:
            _fail(f"{error}: check the disk and who may write there", 74)
        except KeyboardInterrupt:
            _fail("interrupted", 130)


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"mission-control: {' '.join(message.split())}", err=True)
    sys.exit(code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--home", type=click.Path(path_type=Path), help="Where everything is kept.")
@click.option("--url", help="Of a sidecar that runs elsewhere, as http://127.0.0.1:18700.")
@click.option("--json", "as_json", is_flag=True, help="Print answers as JSON.")
@click.version_option(package_name="openclaw-mission-control")
@click.pass_context
def main(context: click.Context, home: Path | None, url: str | None, as_json: bool) -> None:
    """Turn an OpenClaw Gateway, or just this machine, into a small factory of agents."""
    place = home.expanduser().absolute() if home is not None else default_home()
    context.obj = Shared(place, url, as_json)
