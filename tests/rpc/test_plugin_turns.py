"""The plugin's calls beside each other: a slow one holds nobody up."""

from __future__ import annotations

from typing import Any, cast

import pytest
import trio
import trio.testing

from mission_control.gateway_bridge._plugin_bridge import (
    CALL_BYTES,
    SILENT_AFTER_S,
    PluginBridge,
)


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
        if text[:4] == "slow":
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


@pytest.mark.parametrize("sizes", [(4, 4, 4), (3 * CALL_BYTES,), (4, 3 * CALL_BYTES)])
async def test_no_more_is_read_than_may_be_under_way_until_there_is_room(
    sizes: tuple[int, ...],
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most = 3 * (CALL_BYTES + 4)
    monkeypatch.setattr("mission_control.gateway_bridge._plugin_bridge.MOST_UNDER_WAY", most)
    slow = ["slow".ljust(size) for size in sizes]
    bridge = Handling()
    say, heard = trio.open_memory_channel[str](100)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bridge._attend, nursery, heard.receive, cast("Any", None))
        for _ in range(3):
            for text in (*slow, "quick", "quick"):
                say.send_nowait(text)
            await trio.testing.wait_all_tasks_blocked()
            assert bridge.begun == slow
            bridge.may_end.set()
            await trio.testing.wait_all_tasks_blocked()
            assert bridge.begun == [*slow, "quick", "quick"]
            assert len(nursery.child_tasks) == 2
            bridge.may_end = trio.Event()
            bridge.begun.clear()
        nursery.cancel_scope.cancel()


async def test_a_plugin_that_is_silent_for_three_pings_is_left(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bridge = Handling()
    say, heard = trio.open_memory_channel[str](100)
    spoke_at = 0.0

    async def live() -> None:
        nonlocal spoke_at
        async with trio.open_nursery() as nursery:
            bridge._heard_at = trio.current_time()
            nursery.start_soon(bridge._attend, nursery, heard.receive, cast("Any", None))
            nursery.start_soon(bridge._end_in_silence)
            for _ in range(20):
                await trio.sleep(SILENT_AFTER_S - 1)
                say.send_nowait("ping")
            spoke_at = trio.current_time()

    with pytest.RaisesGroup(trio.TooSlowError):
        await live()
    assert len(bridge.begun) == 20
    assert trio.current_time() - spoke_at == pytest.approx(SILENT_AFTER_S)
