"""`mission-control run` and `demo`: the sidecar itself."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import trio

from ..actors import OPEN_FILES
from ..app import open_mission_control
from ..config import Config, load_config
from ..logs import log_into
from ._group import Shared, main, pass_shared
from ._keeper import keep


@main.command()
@click.option("--gateway", help="Run pulses as turns of this Gateway, as ws://127.0.0.1:18789.")
@click.option("--token-file", help="Holds the Gateway's token.")
@click.option("--gateway-agent", help="The Gateway's agent that lends model and tools.")
@click.option("--command", help="What local processes run as agents that name nothing.")
@click.option("--host", help="Where to listen: a loopback address.")
@click.option("--port", type=int, help="18700 by default; 0 takes a free one.")
@click.option("--until-eof", is_flag=True, help="Stop when standard input ends: for a parent.")
@click.option("--verbose", is_flag=True, help="Say on the console what the parts do.")
@pass_shared
def run(shared: Shared, /, verbose: bool, until_eof: bool, **options: Any) -> None:
    """Run the sidecar until it is told to stop."""
    # A parent wants it back at once when it is killed; and it ends with its parent.
    lifelines = (sys.stdin.fileno(), keep()) if until_eof else ()
    OPEN_FILES.raise_limit()
    config = load_config(shared.home, _flags(options))
    level = logging.INFO if verbose else logging.WARNING
    with log_into(shared.home, console=level) as release:
        trio.run(_serve, shared.home, config, release, lifelines)


def _flags(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    given: dict[str, dict[str, Any]] = {
        "gateway": {
            "url": options["gateway"],
            "token_file": options["token_file"],
            "agent": options["gateway_agent"],
        },
        "process": {"command": options["command"]},
        "listen": {"host": options["host"], "port": options["port"]},
    }
    return {
        section: {name: value for name, value in values.items() if value is not None}
        for section, values in given.items()
    }


async def _serve(
    home: Path, config: Config, release: Callable[[], None], lifelines: Sequence[int]
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with open_mission_control(home, config) as mc:
            release()
            runner = mc.mission.runner
            click.echo(f"mission control listens on {mc.url}, home {home}, runner {runner.name}")
            async with trio.open_nursery() as nursery:
                for lifeline in lifelines:
                    nursery.start_soon(_cancel_at_eof, lifeline, nursery.cancel_scope)
                await anext(signals)
                nursery.cancel_scope.cancel()
            _say("stopping: runs are ended and closed first")


async def _cancel_at_eof(lifeline: int, scope: trio.CancelScope) -> None:
    """Cancel *scope* when *lifeline* ends: whoever held it has gone, however it went."""
    # In a thread, and past Python's buffers: whatever it is, a terminal too, this may be cancelled.
    while await trio.to_thread.run_sync(os.read, lifeline, 4096, abandon_on_cancel=True):
        pass
    scope.cancel()


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # a parent that has gone does not read either
        click.echo(text)


@main.command()
@click.option("--home", type=click.Path(path_type=Path), help="Keep what it makes, there.")
@pass_shared
def demo(shared: Shared, home: Path | None) -> None:
    """Watch a crew of three work on eight tasks, with a crash, a hang and a question."""
    from ..demo import run_demo  # noqa: PLC0415

    del shared
    run_demo(home)
