"""Measures agents at rest and at work: `python benchmarks/agents.py [--quick] [--json]`.

What the numbers mean, and the newest of them, are in docs/performance.md.  It works in .cache
beside this folder, because a file system in memory, as /tmp often is, has nothing to sync.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import attrs
import trio
from rich.console import Console

from _fleet import Fleet, add_agents, make_projects
from _idling import idle
from _parallel import on_time
from _rows import Row, table_of
from _silences import TICK_S, judge
from _waking import wake_s
from mission_control.actors import Home

CACHE: Final = Path(__file__).parents[1] / ".cache"
AGENTS: Final = 10_000
TRACES: Final = 1_000
SEED: Final = 6
AWAKE: Final = Fleet(projects=10, agents=100)

ROWS: Final = (
    Row("start_s", "start with 10,000 idle agents", "s", 10),
    Row("idle_bytes", "an idle agent", "B", 5_000),
    Row("idle_cpu", "10,000 idle agents, of one core", "%", 2),
    Row("wake_ms", "assignment to runner, 1,000 agents", "ms", 20),
    Row("parallel", "processes at once, no time missed", "at once", 64),
    Row("false_kills", "healthy of 1,000 traces, killed", "", 0),
    Row("missed", "dead of 1,000 traces, late by a tick", "", 0),
)


@attrs.frozen
class Size:
    """How much is done."""

    fleet: Fleet
    faster: float
    """So much smaller is the fleet than 10,000, and its schedule faster: it looks as often."""
    idle_ticks: int
    wakes: int
    interval_s: float
    """Of those that work at once."""
    rounds: int
    """Of theirs, after the first."""
    at_once: int = 64


FULL: Final = Size(Fleet(100, 100), 1, idle_ticks=4, wakes=200, interval_s=20, rounds=3)
QUICK: Final = Size(Fleet(20, 100, 12), 5, idle_ticks=1, wakes=30, interval_s=10, rounds=1)
SMOKE: Final = Size(Fleet(2, 200, 1), 25, idle_ticks=1, wakes=2, interval_s=3, rounds=1, at_once=4)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure agents at rest and at work.")
    parser.add_argument("--quick", action="store_true", help="less of it, in under 50 s")
    parser.add_argument("--smoke", action="store_true", help="so little of it that it says nothing")
    parser.add_argument("--json", action="store_true", help="print the result as JSON too")
    options = parser.parse_args()
    values = measure(SMOKE if options.smoke else QUICK if options.quick else FULL)
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table_of("mission_control.actors", ROWS, values))
    if options.json:
        print(json.dumps({row.key: round(values[row.key], 3) for row in ROWS}))


def measure(size: Size) -> dict[str, float]:
    CACHE.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="agents-", dir=CACHE) as folder:
        place = Path(folder)
        verdicts = judge(TRACES, SEED)
        return {
            **_at_rest(Home(place / "idle"), size),
            "wake_ms": 1000 * trio.run(wake_s, _home(place / "wake", AWAKE), AWAKE, size.wakes),
            "parallel": _at_once(place / "work", size),
            "false_kills": verdicts.false_kills,
            "missed": verdicts.missed,
        }


def _at_rest(home: Home, size: Size) -> dict[str, float]:
    """Compare the same projects with and without agents."""
    make_projects(home, size.fleet)
    tick_s = TICK_S / size.faster
    nobody = attrs.evolve(size.fleet, agents=0)
    empty = idle(home.path, nobody, tick_s=tick_s, seconds=0)
    add_agents(home, size.fleet)
    full = idle(home.path, size.fleet, tick_s=tick_s, seconds=size.idle_ticks * tick_s)
    return {
        "start_s": full.start_s * AGENTS / size.fleet.size,
        "idle_bytes": (full.resident - empty.resident) / size.fleet.size,
        "idle_cpu": full.cpu,
    }


def _at_once(folder: Path, size: Size) -> int:
    fleet = Fleet(projects=1, agents=size.at_once, interval_s=size.interval_s)
    return trio.run(on_time, _home(folder, fleet), fleet, size.rounds)


def _home(folder: Path, fleet: Fleet) -> Path:
    home = Home(folder)
    make_projects(home, fleet)
    add_agents(home, fleet)
    return home.path


if __name__ == "__main__":
    main()
