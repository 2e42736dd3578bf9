"""Says in the log, at each start of the Gateway, where its sandbox lets agents out."""

from __future__ import annotations

import logging
from pathlib import Path

from ..storage import MissionError
from ..supervisor import Context
from ._link import Gateway
from ._sandbox import sandbox_leaks

log = logging.getLogger(__name__)


async def watch_sandbox(_: Context[None], gateway: Gateway, agent: str, home: Path) -> None:
    """Look once in each life of the Gateway that we are connected to; an actor without messages."""
    known: str | None = None
    while True:
        boot_id = await gateway.wait_connected()
        if boot_id != known and await _look(gateway, agent, home):
            known = boot_id
        await gateway.changed()


async def _look(gateway: Gateway, agent: str, home: Path) -> bool:
    try:
        answer = await gateway.call("config.get", {})
    except MissionError as problem:  # it has just gone again, or will not tell: pulses go on
        log.info("the Gateway's sandbox could not be looked at: %s", problem.message)
        return False
    config = answer.get("parsed")
    for leak in sandbox_leaks(config if isinstance(config, dict) else {}, agent, home):
        log.log(
            logging.WARNING if leak.grave else logging.INFO,
            "the Gateway's %s: %s; %s",
            leak.topic,
            leak.text,
            leak.remedy,
        )
    return True
