"""A sidecar's life, lived in a process that will be killed; with faults, where it is given any."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

import mission_control
from mission_control import Config, MissionControl
from mission_control.actors import Home, _mirror_files
from mission_control.actors._mirrors import Mirrors
from mission_control.config import ListenSettings
from mission_control.storage import Reads, Writer, _group, _writer
from mission_control.storage._appends import Appends
from rig import FAST
from system_doors import idle

from .steps import AGENT, CLIENTS, PROJECT, Client, Step, make

SLOW_DISK_S = 0.02
"""What a fault adds to a write, so that few lives are enough to be killed in the middle of it."""


@attrs.frozen
class Order:
    """How a life is to be lived."""

    name: str
    home: str
    seed: int
    again: list[dict[str, Any]] = attrs.field(factory=list)
    """Steps to be made before all others: those of which the last life did not hear."""
    keyless: bool = False
    """A mistake: those are made again without their keys."""
    serves: bool = False
    """Clients come through the door, and bring what is to be made again."""
    fault: str = ""


def live(order: Order, out: int) -> None:
    """Open the home and write until killed; all that is heard goes to *out*, line by line."""

    def tell(what: str, *more: Any) -> None:
        # One write a line, shorter than the pipe takes at once: whole or not there.
        os.write(out, json.dumps([what, *more]).encode() + b"\n")

    trio.run(_live, order, tell)


async def _live(order: Order, tell: Callable[..., None]) -> None:
    config = Config(listen=ListenSettings(port=0), pulse=FAST)
    began = time.perf_counter()
    async with mission_control.open(order.home, config, runner=idle()) as mc:
        opened_ms = (time.perf_counter() - began) * 1000
        await _furnish(mc)
        if order.fault:
            FAULTS[order.fault](order)
        tell("open", mc.url, mc.token, opened_ms)

        async def call(method: str, params: dict[str, Any]) -> Any:
            return await mc.call(method, **params)

        async with trio.open_nursery() as nursery:
            if order.serves:
                await trio.sleep_forever()
            for fields in order.again:
                nursery.start_soon(partial(make, keyless=order.keyless), Step(**fields), call, tell)
            for number in range(CLIENTS):
                chance = random.Random(f"{order.seed} {number}")  # noqa: S311 - no secrets
                client = Client(f"{order.name}-{number}", call, tell, chance)
                nursery.start_soon(client.work)
            await trio.sleep_forever()


async def _furnish(mc: MissionControl) -> None:
    """Make the project, and an agent that is never woken; the keys say if that was done."""
    await mc.call("mission.project.init", project_name=PROJECT, idempotency_key="furnish-1")
    soul = {"soul": "shuri", "project_id": PROJECT}
    await mc.call("mission.agent.create", **soul, idempotency_key="furnish-2")
    await mc.call("mission.agent.pause", instance_id=AGENT, idempotency_key="furnish-3")


# Faults: each is a mistake that somebody might make, and that the inspection has to find.


class _Nobody:
    """Where the second answer to a request goes."""

    abandoned = False

    def answer(self, value: Any) -> None: ...
    def fail(self, error: Exception) -> None: ...


def answer_before_the_commit(order: Order) -> None:
    def settle(writer: Writer, items: Sequence[_group.Item]) -> None:
        connection = writer._connection
        connection.execute("BEGIN IMMEDIATE")
        _group.apply_each(items, writer._appends)
        for item in items:
            writer._token.run_sync_soon(attrs.evolve(item).tell)
            item.reply = _Nobody()
        _slow_disk()
        connection.execute("COMMIT")

    Writer._settle = settle  # type: ignore[method-assign,assignment]


def render_before_the_commit(order: Order) -> None:
    scope = Home(Path(order.home)).scope(PROJECT)

    def commit_group(
        items: Sequence[_group.Item],
        appends: Appends,
        before_commit: Callable[[], None] = lambda: None,
    ) -> None:
        connection = appends.connection
        connection.execute("BEGIN IMMEDIATE")
        _group.apply_each(items, appends)
        before_commit()
        reads = Reads(Path(order.home), connection)
        if reads.projects():
            Mirrors(scope, PROJECT).render_all(reads)
            _slow_disk()
        connection.execute("COMMIT")

    _writer.commit_group = commit_group  # type: ignore[attr-defined]


def write_mirrors_in_place(order: Order) -> None:
    def replace_file(path: Path, text: str, *, mode: int = 0o600) -> os.stat_result:
        with path.open("w") as file:
            file.write(text[:100])
            file.flush()
            _slow_disk()
            file.write(text[100:])
        return path.stat()

    _mirror_files.replace_file = replace_file  # type: ignore[assignment, attr-defined]


FAULTS: dict[str, Callable[[Order], None]] = {
    fault.__name__: fault
    for fault in (answer_before_the_commit, render_before_the_commit, write_mirrors_in_place)
}


def _slow_disk() -> None:
    threading.Event().wait(SLOW_DISK_S)
