"""What a fleet of idle agents takes: `_idling.py HOME PROJECTS AGENTS TICK_S SECONDS`.

A process of its own, so that nothing but the fleet is in its memory.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import attrs
import trio

import mission_control
from _fleet import Fleet, agent_id
from mission_control import Config
from mission_control.actors import pulse_name
from mission_control.config import ListenSettings, PulseDefaults
from mission_control.supervisor import System


@attrs.frozen
class Idling:
    """What one sidecar took that had nothing to do."""

    start_s: float
    """From `open` until every agent runs, with the imports done."""
    resident: int
    """Bytes, then."""
    cpu: float
    """Per cent of one core, while it idled."""


def idle(home: Path, fleet: Fleet, *, tick_s: float, seconds: float) -> Idling:
    """Run a sidecar on *home*, where *fleet* is, and let it idle for *seconds*."""
    arguments = [str(each) for each in (home, fleet.projects, fleet.agents, tick_s, seconds)]
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return Idling(**json.loads(done.stdout.splitlines()[-1]))


async def _idle(home: str, fleet: Fleet, tick_s: float, seconds: float) -> Idling:
    settings = Config(listen=ListenSettings(port=0), pulse=PulseDefaults(tick_s=tick_s))
    began = time.perf_counter()
    async with mission_control.open(home, settings) as mc:
        await _until_up(mc.mission.system, fleet)
        start_s = time.perf_counter() - began
        gc.collect()
        await trio.sleep(min(seconds, 2.0))  # what was put off at the start is done
        resident = _resident()
        return Idling(start_s, resident, await _cpu(seconds))


async def _until_up(system: System, fleet: Fleet) -> None:
    """Return when every agent has its pulse, which is what it has last."""
    for project in range(fleet.projects):
        for number in range(fleet.agents):
            while system.whereis(pulse_name(agent_id(number, project))) is None:  # noqa: ASYNC110
                await trio.sleep(0.01)  # nobody tells


async def _cpu(seconds: float) -> float:
    began, used = time.perf_counter(), time.process_time()
    await trio.sleep(seconds)
    passed = time.perf_counter() - began
    return 100 * (time.process_time() - used) / passed if passed else 0.0


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    place, projects, agents, tick, time_s = sys.argv[1:]
    crew = Fleet(int(projects), int(agents))
    found = trio.run(_idle, place, crew, float(tick), float(time_s))
    print(json.dumps(attrs.asdict(found)))
