"""The plugin's calls beside each other: a slow one holds nobody up."""

from __future__ import annotations

from typing import Any, cast

import trio
import trio.testing

from mission_control.gateway_bridge._plugin_bridge import PluginBridge


class Handling(PluginBridge):
    """Answers a message when it is let."""

    def __init__(self) -> None:
        nobody = cast("Any", None)
        super().__init__(nobody, nobody, nobody, nobody)
        self.begun: list[str | bytes] = []
        self.may_end = trio.Event()
        self.tasks: set[int] = set()

    async def _handle(self, text: str | bytes, send: object) -> None:
        self.begun.append(text)
        self.tasks.add(id(trio.lowlevel.current_task()))
        if text == "slow":
            await self.may_end.wait()


async def test_calls_run_beside_each_other_and_in_tasks_that_are_used_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bridge = Handling()
    say, heard = trio.open_memory_channel[str](100)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bridge._attend, nursery, heard.receive, cast("Any", None))
        for text in ("slow", "slow", "slow", "quick"):
            say.send_nowait(text)
        await trio.testing.wait_all_tasks_blocked()
        assert bridge.begun == ["slow", "slow", "slow", "quick"]
        bridge.may_end.set()
        await trio.testing.wait_all_tasks_blocked()
        bridge.tasks.clear()
        for number in range(50):
            say.send_nowait(str(number))
            await trio.testing.wait_all_tasks_blocked()
        assert len(bridge.tasks) == 2
        assert len(nursery.child_tasks) == 2
        nursery.cancel_scope.cancel()
