"""How long it takes to look at a board, and at a thought stream, where there is very much.

The process is never idle meanwhile, so its CPU clock tells how long that is where no other program
takes the processor away.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import attrs

import mission_control
from _crowded import OPEN_TASKS, PROJECT, STREAM, task_id
from mission_control import Config, MissionControl
from mission_control.config import ListenSettings


@attrs.frozen
class Looks:
    """Medians, in seconds, from the call to its answer as JSON text."""

    board: float
    stream: float


async def look(home: Path, times: int) -> Looks:
    """Run a sidecar on *home*, and look at what `crowd_board` put there."""
    settings = Config(listen=ListenSettings(port=0))
    async with mission_control.open(home, settings) as mc:
        return Looks(
            board=await _median(lambda: _board(mc), times),
            stream=await _median(lambda: _stream(mc), times),
        )


async def _board(mc: MissionControl) -> None:
    answer = await mc.call(
        "mission.task.list", project_id=PROJECT, open_only=True, limit=OPEN_TASKS
    )
    _check(answer, "tasks", OPEN_TASKS)


async def _stream(mc: MissionControl) -> None:
    answer = await mc.call("mission.event.list", task_id=task_id(100), limit=STREAM)
    _check(answer, "events", STREAM)


def _check(answer: dict[str, Any], key: str, count: int) -> None:
    json.dumps(answer)
    if len(answer[key]) != count:
        raise AssertionError(f"{count} {key} were expected, not {len(answer[key])}")


async def _median(once: Callable[[], Awaitable[None]], times: int) -> float:
    taken = []
    for _ in range(times):
        began = process_time()
        await once()
        taken.append(process_time() - began)
    return median(taken)
