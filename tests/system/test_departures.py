"""Who takes its time to end is waited for by those who want its end, and by nobody else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import attrs
import trio

from mission_control import MissionControl
from mission_control.actors import ORCHESTRATOR, Life, Outcome, PulseOrder, roster_name
from mission_control.storage import ProjectState, Unavailable
from rig import DONE, PATIENCE_S, Open, ScriptedRunner, crew, until


@attrs.define
class Stubborn:
    """Soul `slow` does not end before it is let go; all others do as they are told."""

    asked: trio.Event = attrs.field(factory=trio.Event)
    let_go: trio.Event = attrs.field(factory=trio.Event)

    async def __call__(self, order: PulseOrder, life: Life) -> Outcome:
        if order.soul != "slow":
            return DONE
        try:
            await trio.sleep_forever()
        finally:
            self.asked.set()
            with trio.move_on_after(PATIENCE_S, shield=True):
                await self.let_go.wait()
        raise AssertionError


async def work(mc: MissionControl, soul: str) -> None:
    await mc.call("mission.task.create", project_id="p", title="x", assignee_id=soul)


async def at_work(mc: MissionControl, runner: ScriptedRunner) -> None:
    """Make a crew of which `slow` is at work."""
    await crew(mc, "slow", "shuri")
    await work(mc, "slow")
    await until(mc, lambda: "slow:p" in runner.recorded)


def archived(mc: MissionControl) -> bool:
    return mc.mission.reads.project("p").state is ProjectState.ARCHIVED


async def test_a_project_that_is_slow_to_end_holds_up_no_other(open_home: Open) -> None:
    stubborn = Stubborn()
    runner = ScriptedRunner(stubborn)
    async with open_home(runner) as mc, trio.open_nursery() as nursery:
        await at_work(mc, runner)
        nursery.start_soon(call(mc, "mission.project.archive", project_id="p"))
        await stubborn.asked.wait()
        await mc.call("mission.project.init", project_name="Q")
        assert mc.mission.system.whereis(roster_name("q")) is not None
        assert not archived(mc)
        stubborn.let_go.set()
        await until(mc, lambda: archived(mc))
    assert not runner.running


async def test_an_agent_that_is_slow_to_end_holds_up_no_other(open_home: Open) -> None:
    stubborn = Stubborn()
    runner = ScriptedRunner(stubborn)
    async with open_home(runner) as mc, trio.open_nursery() as nursery:
        await at_work(mc, runner)
        nursery.start_soon(call(mc, "mission.agent.destroy", instance_id="slow:p"))
        await stubborn.asked.wait()
        await work(mc, "shuri")
        await until(mc, lambda: any(order.soul == "shuri" for order in runner.orders))
        assert mc.mission.reads.has_agent("slow:p")
        stubborn.let_go.set()
        await until(mc, lambda: not mc.mission.reads.has_agent("slow:p"))
        assert len([order for order in runner.orders if order.soul == "slow"]) == 1


async def test_a_project_whose_archiving_was_cut_short_is_archived_when_asked_again(
    open_home: Open,
) -> None:
    stubborn = Stubborn()
    runner = ScriptedRunner(stubborn)

    async def archive(mc: MissionControl) -> None:
        try:
            await mc.call("mission.project.archive", project_id="p")
        except Unavailable:
            cut_short.set()

    async with open_home(runner) as mc, trio.open_nursery() as nursery:
        cut_short = trio.Event()
        await at_work(mc, runner)
        nursery.start_soon(archive, mc)
        await stubborn.asked.wait()
        mc.mission.find(ORCHESTRATOR).kill()
        await cut_short.wait()
        stubborn.let_go.set()
        await mc.call("mission.project.archive", project_id="p")
        assert archived(mc)
        assert not runner.running
        await mc.call("mission.project.restore", project_id="p")
        await until(mc, lambda: "slow:p" in runner.recorded)


async def test_a_project_whose_archiving_was_cut_short_goes_on_at_once(open_home: Open) -> None:
    stubborn = Stubborn()
    runner = ScriptedRunner(stubborn)
    async with open_home(runner) as mc, trio.open_nursery() as nursery:
        await at_work(mc, runner)
        nursery.start_soon(refused(mc, "mission.project.archive", project_id="p"))
        await stubborn.asked.wait()
        mc.mission.find(ORCHESTRATOR).kill()
        stubborn.let_go.set()
        await until(mc, lambda: len(runner.orders) > 1 and "slow:p" in runner.recorded)
        assert not archived(mc)


async def test_an_agent_whose_dismissal_was_cut_short_goes_on_at_once(open_home: Open) -> None:
    stubborn = Stubborn()
    runner = ScriptedRunner(stubborn)
    async with open_home(runner) as mc, trio.open_nursery() as nursery:
        await at_work(mc, runner)
        nursery.start_soon(refused(mc, "mission.agent.destroy", instance_id="slow:p"))
        await stubborn.asked.wait()
        mc.mission.find(roster_name("p")).kill()
        stubborn.let_go.set()
        await until(mc, lambda: len(runner.orders) > 1 and "slow:p" in runner.recorded)
        assert mc.mission.reads.has_agent("slow:p")


async def test_a_dismissal_that_is_sent_again_leaves_a_later_agent_of_that_name_alone(
    open_home: Open,
) -> None:
    stubborn = Stubborn()
    runner = ScriptedRunner(stubborn)
    async with open_home(runner) as mc:
        await crew(mc, "slow", "shuri")
        dismiss = {"instance_id": "slow:p", "idempotency_key": "k"}
        gone = await mc.call("mission.agent.destroy", **dismiss)
        await mc.call("mission.agent.create", instance_id="slow:p")
        await work(mc, "slow")
        await until(mc, lambda: "slow:p" in runner.recorded)
        assert await mc.call("mission.agent.destroy", **dismiss) == gone
        assert not stubborn.asked.is_set()
        assert runner.running == {"slow:p"}
        stubborn.let_go.set()


def refused(mc: MissionControl, method: str, **params: object) -> Callable[[], Awaitable[None]]:
    async def asked() -> None:
        with suppress(Unavailable):
            await mc.call(method, **params)

    return asked


def call(mc: MissionControl, method: str, **params: object) -> Callable[[], Awaitable[None]]:
    async def answered() -> None:
        await mc.call(method, **params)

    return answered
