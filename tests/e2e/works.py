"""Where crews work under faults: a Gateway, its plugin, and sidecars in processes or in ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import attrs
import trio

import mission_control
from mission_control import MissionControl
from mission_control.actors import Home
from mission_control.config import GatewaySettings, ListenSettings, load_config
from mission_control.gateway_bridge import Gateway, OpenClawRunner, open_connection
from mission_control.storage import Reads

from .factory import Factory
from .gateway_stack import TOKEN
from .shift import PATIENCE_S, Shift
from .verdict import rests, wrongs


@attrs.frozen
class Works(Factory):
    """A factory, and what its crews do."""

    shift: Shift

    @property
    def token_file(self) -> Path:
        """What the sidecar in this process reads."""
        return self.home / "gateway-inside.token"

    @asynccontextmanager
    async def inside(self, url: str = "", token: str = TOKEN) -> AsyncIterator[MissionControl]:
        """Run a sidecar in this process; the Gateway is at *url* to it."""
        self.token_file.write_text(token)
        config = attrs.evolve(
            load_config(self.home, environ={}),
            listen=ListenSettings(port=self.port),
            gateway=GatewaySettings(url=url or self.stack.url, token_file=str(self.token_file)),
        )
        async with mission_control.open(self.home, config) as mc:
            yield mc

    async def all_is_well(self, project_id: str, patience_s: float = PATIENCE_S) -> None:
        """Wait until everybody rests, and see that nothing is wrong."""
        with closing(Reads(Home(self.home).database)) as reads:
            with trio.move_on_after(patience_s):
                while not rests(reads, project_id):  # noqa: ASYNC110 - it may be another process
                    await trio.sleep(0.1)
            assert wrongs(self.shift, self.home, reads, project_id) == []
        await self.nothing_runs()

    async def gateway_is_killed(self) -> None:
        await trio.to_thread.run_sync(self.stack.crash)

    async def gateway_starts(self) -> None:
        await trio.to_thread.run_sync(self.stack.start)

    async def nothing_runs(self) -> None:
        """Wait until the Gateway knows of no turn, and of no command that one left."""
        address = self.stack.address
        left: object = "not asked yet"
        with trio.move_on_after(PATIENCE_S):
            async with open_connection(address, lambda _: None) as connection:
                while left:
                    active = await connection.call("sessions.list", {"activeOnly": True})
                    asked = {"status": ["queued", "running"]}
                    tasks = await connection.call("tasks.list", asked)
                    left = active["sessions"] + tasks["tasks"]
                    await trio.sleep(0.1)
        assert left == []


async def crew(call: Callable[..., Any], name: str, *titles: str) -> str:
    """Make a project with an agent of its own for each of *titles*, a card."""
    project_id = str((await call("mission.project.init", project_name=name))["project_id"])
    for number, title in enumerate(titles):
        soul = f"soul-{number}"
        await call("mission.agent.create", soul=soul, project_id=project_id)
        await call("mission.task.create", project_id=project_id, title=title, assignee_id=soul)
    return project_id


async def until(condition: Callable[[], object]) -> None:
    """Wait for what other processes do, of which nobody tells."""
    with trio.fail_after(PATIENCE_S):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.05)


def held(works: Works, project_id: str) -> Callable[[], bool]:
    return (Home(works.home).scope(project_id).src / "held").exists


def link(mc: MissionControl) -> Gateway:
    """The sidecar's own way to its Gateway."""
    assert isinstance(mc.mission.runner, OpenClawRunner)
    return mc.mission.runner._gateway
