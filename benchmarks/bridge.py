"""Measures the way through a real Gateway: `python benchmarks/bridge.py [--quick] [--json]`.

It needs OpenClaw and Node in .cache, where tests/openclaw_install.sh puts them.  What the numbers
mean, and the newest of them, are in docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import attrs
import trio
from rich.console import Console

from _fleet import Fleet, add_agents, agent_id, make_projects, project_id
from _gateway import PATIENCE_S, Bridged, prepare, until_answered
from _rows import Row, table_of
from mission_control.actors import Home
from openclaw_paths import OpenClaw
from tests.e2e.scripted_model import Say, ScriptedModel

ROWS: Final = (
    Row("added_ms", "what Gateway and plugin add to a call", "ms", 0.5),
    Row("calls_per_s", "calls a second through the Gateway", "/s", 1_000),
    Row("recover_s", "usable after kill -9 of the sidecar", "s", 1),
    Row("link_s", "link up after the Gateway is ready", "s", 1),
    Row("idle_model_calls", "1,000 agents, an hour of schedule", "", 0),
)

METHOD: Final = "mission.task.get"
LOOK: Final = "mission.system.status"
CALLERS: Final = 64
SETTLED_S: Final = 1.5
"""How long a sidecar has run before it is killed: one that dies at its start is another matter."""
HOUR: Final = 60
"""Intervals in an hour of schedule; and in each of them are two ticks, as by default."""


IN_A_ROW: Final = 20
"""Calls of one way before those of the other: caches are as warm as a client's who is at work."""


@attrs.frozen
class Size:
    """How much is done."""

    pairs: int
    calls: int
    kills: int
    hour_s: float
    """How long an hour of schedule takes."""


FULL: Final = Size(pairs=2_000, calls=20_000, kills=5, hour_s=60)
QUICK: Final = Size(pairs=400, calls=4_000, kills=2, hour_s=6)
SMOKE: Final = Size(pairs=5, calls=128, kills=1, hour_s=1.2)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the way through a real Gateway.")
    parser.add_argument("--quick", action="store_true", help="less of it, in under 50 s")
    parser.add_argument("--smoke", action="store_true", help="so little of it that it says nothing")
    parser.add_argument("--json", action="store_true", help="print the result as JSON too")
    options = parser.parse_args()
    openclaw = OpenClaw()
    if not (openclaw.node.exists() and openclaw.script.exists()):
        sys.exit("OpenClaw is not installed: run tests/openclaw_install.sh (0.9 GB) first")
    size = SMOKE if options.smoke else QUICK if options.quick else FULL
    values = measure(openclaw, size)
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table_of("mission_control.gateway_bridge", ROWS, values))
    if options.json:
        print(json.dumps({row.key: round(values[row.key], 3) for row in ROWS}))


def measure(openclaw: OpenClaw, size: Size) -> dict[str, float]:
    fleet = Fleet(projects=10, agents=100, interval_s=size.hour_s / HOUR)
    with (
        TemporaryDirectory(prefix="mission-control-bench-") as folder,
        ScriptedModel(lambda _: Say("There is nothing to do.")) as model,
    ):
        home = Home(Path(folder) / "home")
        make_projects(home, fleet)
        add_agents(home, fleet)
        place = prepare(openclaw, Path(folder), home, model)
        return _beside(place, size) | _spawned(place, model, size)


def _beside(place: Bridged, size: Size) -> dict[str, float]:
    """Measure with a sidecar that has been waiting for the Gateway."""
    with place.beside(), place.stack:
        ready = time.monotonic()
        link_s = place.until_linked() - ready

        async def measure() -> dict[str, float]:
            async with place.direct() as direct:
                made = await direct.call(
                    "mission.task.create", project_id=project_id(0), title="For nobody"
                )
            ask = {"task_id": made["task_id"]}
            async with place.operator() as operator:
                await until_answered(operator, METHOD, **ask)
            # The Gateway's JavaScript is compiled while it runs.
            await _calls_per_s(place, ask, size.calls // 2)
            return {
                "added_ms": 1000 * await _added_s(place, ask, size.pairs),
                "calls_per_s": await _calls_per_s(place, ask, size.calls),
            }

        return {"link_s": link_s} | trio.run(measure)


def _spawned(place: Bridged, model: ScriptedModel, size: Size) -> dict[str, float]:
    """Measure with a sidecar that the Gateway starts."""
    place.let_gateway_spawn()
    with place.stack:
        place.until_linked()

        async def measure() -> dict[str, float]:
            return {
                "recover_s": await _recover_s(place, size.kills),
                "idle_model_calls": await _idle_model_calls(place, model, size.hour_s),
            }

        return trio.run(measure)


async def _added_s(place: Bridged, ask: dict[str, str], pairs: int) -> float:
    """Compare the two ways in turns; the median of one less that of the other."""
    through: list[float] = []
    beside: list[float] = []
    async with place.operator() as operator, place.direct() as direct:
        for _ in range(pairs // IN_A_ROW):
            await _timed(lambda: operator.call(METHOD, ask), through)
            await _timed(lambda: direct.call(METHOD, **ask), beside)
    return median(through) - median(beside)


async def _timed(call: Callable[[], Awaitable[object]], taken: list[float]) -> None:
    """Call as a client does that has something to do: one call after the other."""
    for _ in range(IN_A_ROW):
        began = time.perf_counter()
        await call()
        taken.append(time.perf_counter() - began)


async def _calls_per_s(place: Bridged, ask: dict[str, str], calls: int) -> float:
    async with place.operator() as operator:

        async def work() -> None:
            for _ in range(calls // CALLERS):
                await operator.call(METHOD, ask)

        began = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(CALLERS):
                nursery.start_soon(work)
        return calls // CALLERS * CALLERS / (time.perf_counter() - began)


async def _recover_s(place: Bridged, kills: int) -> float:
    taken = []
    async with place.operator() as operator:
        for _ in range(kills):
            await trio.sleep(SETTLED_S)
            place.kill_sidecar()
            began = time.perf_counter()
            await until_answered(operator, LOOK)
            taken.append(time.perf_counter() - began)
    return median(taken)


async def _idle_model_calls(place: Bridged, model: ScriptedModel, hour_s: float) -> int:
    """Count what the model is asked in an hour of schedule that passes in *hour_s*.

    Raises:
        TimeoutError: not even an agent that is told to run asked it: the count says nothing.
    """
    async with place.operator() as operator:
        settings = place.home.path / "mission-control.toml"
        settings.write_text(f"[pulse]\ntick_s = {hour_s / HOUR / 2}\n", "utf-8")
        place.kill_sidecar()  # the next one reads that
        await until_answered(operator, LOOK)
        await trio.to_thread.run_sync(place.until_linked)
        before = len(model.requests())
        await trio.sleep(hour_s)
        asked = len(model.requests()) - before
        await operator.call("mission.agent.trigger", {"instance_id": agent_id(0, 0)})
        await trio.to_thread.run_sync(model.wait_for, "", before + asked + 1, PATIENCE_S)
    return asked


if __name__ == "__main__":
    main()
