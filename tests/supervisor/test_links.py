"""Links: who ends with whom."""

from __future__ import annotations

from typing import Any

import pytest

from mission_control.supervisor import (
    Actor,
    ActorDead,
    ChildTerminated,
    Crash,
    Down,
    Exit,
    Killed,
    Link,
    Normal,
    Ref,
    Restart,
    ShutdownExit,
    System,
)

from .stage import Boom, CrashNow, Finish, Say, Stage, settle


class Partner(Actor[Any]):
    """Links itself to whom it is told, and notes how it ended."""

    def __init__(self, ends: list[Exit], heard: list[Down] | None = None) -> None:
        self._ends = ends
        self._heard = heard

    def receive(self, msg: Any) -> Any:
        match msg:
            case Ref():
                if self._heard is not None:
                    self.ctx.trap_exits(lambda down: down)
                return self.ctx.link(msg)
            case Down():
                assert self._heard is not None
                self._heard.append(msg)
            case CrashNow():
                raise Boom
            case Finish(reason):
                self.ctx.stop(reason)
            case _:
                pass
        return None

    async def stopped(self, reason: Exit) -> None:
        self._ends.append(reason)


async def _pair(
    stage: Stage, system: System, ends: list[Exit], heard: list[Down] | None = None
) -> tuple[Ref[Any], Ref[Any], Link]:
    """Start a partner, and a probe to which it is linked."""
    spec = stage.child("partner", Partner, args=(ends, heard), restart=Restart.TEMPORARY)
    partner = await system.root.start_child(spec)
    probe = await system.root.start_child(stage.probe("p", restart=Restart.TEMPORARY))
    return partner, probe, await partner.ask(probe)


@pytest.mark.parametrize(
    ("how", "shared"),
    [
        (CrashNow(), True),
        (Finish(ShutdownExit("enough")), True),
        (Finish(), False),
    ],
)
async def test_x17_a_bad_end_is_shared_and_a_normal_one_is_not(
    stage: Stage, how: Any, shared: bool
) -> None:
    ends: list[Exit] = []
    async with stage.system() as system:
        partner, probe, _ = await _pair(stage, system, ends)
        probe.tell(how)
        await settle()
        assert partner.alive is not shared
        if isinstance(how, CrashNow):
            assert isinstance(ends[0], Crash)
            assert isinstance(ends[0].error, Boom)
            assert len(stage.of_kind(ChildTerminated)) == 2
        else:
            assert ends == ([how.reason] if shared else [])


async def test_x17_a_kill_is_shared_as_a_kill(stage: Stage) -> None:
    ends: list[Exit] = []
    async with stage.system() as system:
        partner, probe, _ = await _pair(stage, system, ends)
        async with partner.monitor() as down:
            probe.kill()
            assert (await down.wait()).exit == Killed()
        assert ends == []


async def test_x17_a_link_works_both_ways(stage: Stage) -> None:
    async with stage.system() as system:
        partner, probe, _ = await _pair(stage, system, [])
        partner.tell(CrashNow())
        await settle()
        assert not probe.alive
        assert stage.journal == ["start p", "stop p"]


@pytest.mark.parametrize("how", [CrashNow(), Finish()])
async def test_x17_one_that_traps_exits_gets_a_message_and_lives(stage: Stage, how: Any) -> None:
    heard: list[Down] = []
    async with stage.system() as system:
        partner, probe, _ = await _pair(stage, system, [], heard)
        probe.tell(how)
        await settle()
        assert partner.alive
        (down,) = heard
        assert (down.ref, down.incarnation) == (probe, 1)
        assert isinstance(down.exit, Normal if how == Finish() else Crash)


async def test_x17_there_is_one_link_for_two(stage: Stage) -> None:
    async with stage.system() as system:
        partner, probe, link = await _pair(stage, system, [])
        assert await partner.ask(probe) is link
        link.cancel()
        probe.tell(CrashNow())
        await settle()
        assert partner.alive


async def test_x17_a_link_does_not_reach_the_next_incarnation(stage: Stage) -> None:
    async with stage.system() as system:
        spec = stage.child("partner", Partner, args=([],))
        partner = await system.root.start_child(spec)
        probe = await system.root.start_child(stage.probe("p"))
        await partner.ask(probe)
        probe.tell(CrashNow())
        await settle()
        assert (partner.incarnation, probe.incarnation) == (2, 2)
        probe.tell(CrashNow())
        await settle()
        assert (partner.incarnation, probe.incarnation) == (2, 3)
        assert await probe.ask(Say("x")) == ("x",)


async def test_x17_the_dead_and_oneself_cannot_be_linked_to(stage: Stage) -> None:
    class Lonely(Actor[Any]):
        def receive(self, msg: Ref[Any]) -> str:
            with pytest.raises((ActorDead, ValueError)) as caught:
                self.ctx.link(msg)
            return type(caught.value).__name__

    async with stage.system() as system:
        lonely = await system.root.start_child(stage.child("l", Lonely))
        dead = await system.root.start_child(stage.probe("p"))
        await system.root.terminate_child("p")
        assert [await lonely.ask(ref) for ref in (dead, lonely)] == ["ActorDead", "ValueError"]
