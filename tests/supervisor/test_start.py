"""How children start: in order, and all or none."""

from __future__ import annotations

from typing import Any

import pytest

from mission_control.supervisor import (
    IGNORE,
    Actor,
    AlreadyStarted,
    BadSpec,
    ChildNotFound,
    ChildSpec,
    Context,
    Restart,
    Shutdown,
    ShutdownExit,
    StartFailed,
    Supervisor,
)

from .stage import Boom, Stage, settle


async def test_s01_an_empty_supervisor_starts_and_stops(stage: Stage) -> None:
    async with stage.watch(stage.static()) as family:
        assert await family.counts() == (0, 0, 0, 0)
        await family.system.root.terminate_child("sup")
        assert await family.ended() == ShutdownExit()
        assert family.system.tree().children == ()


async def test_s02_a_supervisor_may_ignore_its_start(stage: Stage) -> None:
    class Idle(Supervisor):
        async def started(self) -> object:
            return IGNORE

    async with stage.system() as system:
        assert await system.root.start_child(Idle.spec("idle")) is None
        assert stage.events == []


async def test_s03_a_child_that_ignores_its_start_is_kept_as_stopped(stage: Stage) -> None:
    stage.knob("c1", ignore_next=True)
    async with stage.watch(stage.static()) as family:
        assert await family.ref.start_child(stage.probe("c1")) is None
        assert await family.ref.start_child(stage.probe("c2")) is not None
        assert await family.kids() == [("c2", "running"), ("c1", "stopped")]
        assert await family.counts() == (2, 1, 0, 2)


@pytest.mark.parametrize("in_list", [True, False])
async def test_s04_a_temporary_child_that_ignores_its_start_is_forgotten(
    stage: Stage, in_list: bool
) -> None:
    stage.knob("c1", ignore_next=True)
    specs = [stage.probe(name, restart=Restart.TEMPORARY) for name in ("c1", "c2")]
    async with stage.watch(stage.static(*(specs if in_list else []))) as family:
        for spec in [] if in_list else specs:
            await family.ref.start_child(spec)
        assert await family.kids() == [("c2", "running")]
        assert await family.counts() == (1, 1, 0, 1)


@pytest.mark.parametrize("restart", [Restart.TEMPORARY, Restart.PERMANENT])
async def test_s05_a_dynamic_supervisor_keeps_nothing_of_an_ignored_start(
    stage: Stage, restart: Restart
) -> None:
    stage.knob("p", ignore_next=True)
    async with stage.watch(stage.dynamic(restart=restart)) as family:
        assert await family.ref.start_child() is None
        assert await family.ref.start_child() is not None
        assert len(await family.kids()) == 1
        assert await family.counts() == (1, 1, 0, 1)
        await family.system.root.terminate_child("sup")
        assert await family.ended() == ShutdownExit()


@pytest.mark.parametrize("knob", [{"fail_next": 1}, {"junk_next": True}])
async def test_s06_a_supervisor_whose_child_fails_does_not_start(
    stage: Stage, knob: dict[str, Any]
) -> None:
    stage.knob("c1", **knob)
    async with stage.system() as system:
        with pytest.raises(StartFailed) as caught:
            await system.root.start_child(stage.static("c1"))
        assert isinstance(caught.value.__cause__, StartFailed)
        assert type(caught.value.__cause__.__cause__) in {Boom, TypeError}
        assert await system.root.children() == []


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("knob", [{"fail_next": 1}, {"junk_next": True}])
async def test_s07_nothing_is_kept_of_a_child_that_fails_to_start(
    stage: Stage, dynamic: bool, knob: dict[str, Any]
) -> None:
    spec = stage.dynamic() if dynamic else stage.static()
    async with stage.watch(spec) as family:
        args: tuple[Any, ...] = () if dynamic else (stage.probe("p"),)
        stage.knob("p", **knob)
        with pytest.raises(StartFailed) as caught:
            await family.ref.start_child(*args)
        assert isinstance(caught.value.__cause__, Boom | TypeError)
        assert await family.kids() == []
        stage.knob("p", junk_next=False)
        assert await family.ref.start_child(*args) is not None


async def test_s09_a_failed_start_is_undone_in_reverse(stage: Stage) -> None:
    stage.knob("c", fail_next=1)
    inner = stage.static("a", "b", "c", "d")
    outer = Supervisor.spec("outer", [inner])
    async with stage.system() as system:
        with pytest.raises(StartFailed) as caught:
            await system.root.start_child(outer)
        assert stage.journal == ["start a", "start b", "fail c", "stop b", "stop a"]
        chain: list[str] = []
        error: BaseException | None = caught.value
        while error is not None:
            chain.append(type(error).__name__)
            error = error.__cause__
        assert chain == ["StartFailed", "StartFailed", "StartFailed", "Boom"]
        assert caught.value.child_id == "outer"


async def test_s10_a_specification_can_be_read_back(stage: Stage) -> None:
    plain = ChildSpec("plain", stage.probe("x").start, args=(stage, "plain"))
    brutal = stage.probe("brutal", shutdown=Shutdown.BRUTAL_KILL)
    async with stage.watch(stage.static(plain, brutal)) as family:
        found = await family.ref.get_spec("plain")
        assert (found.restart, found.shutdown, found.significant) == (
            Restart.PERMANENT,
            5.0,
            False,
        )
        assert await family.ref.get_spec("brutal") is brutal
        with pytest.raises(ChildNotFound):
            await family.ref.get_spec("stranger")
        with pytest.raises(ChildNotFound):
            await family.ref.get_spec(family.ref)


async def test_s10_every_child_of_a_template_reports_the_template(stage: Stage) -> None:
    async with stage.watch(stage.dynamic()) as family:
        refs = [await family.ref.start_child(number) for number in (1, 2)]
        specs = [await family.ref.get_spec(ref) for ref in refs]
        assert specs[0] is specs[1]
        assert specs[0].id == "p"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("start", 7),
        ("start", print),
        ("restart", "permanent"),
        ("shutdown", -10),
        ("shutdown", True),
        ("significant", "maybe"),
        ("capacity", 0),
        ("overflow", "explode"),
        ("mailbox", "lose"),
        ("backoff", 1.0),
        ("register", ""),
        ("args", [1]),
    ],
)
def test_s11_a_bad_specification_names_its_field(stage: Stage, field: str, value: Any) -> None:
    fields: dict[str, Any] = {"id": "x", "start": Actor, field: value}
    with pytest.raises(BadSpec) as caught:
        ChildSpec(**fields)
    assert caught.value.field == field


async def test_s11_bad_combinations_are_refused(stage: Stage) -> None:
    with pytest.raises(BadSpec, match="permanent"):
        stage.probe("c", significant=True)
    significant = stage.probe("c", significant=True, restart=Restart.TRANSIENT)
    with pytest.raises(BadSpec, match="auto_shutdown"):
        stage.static(significant)
    with pytest.raises(BadSpec, match="twice"):
        stage.static("c", "c")
    async with stage.watch(stage.static()) as family:
        with pytest.raises(BadSpec, match="auto_shutdown"):
            await family.ref.start_child(significant)


async def test_s12_a_name_of_a_stranger_keeps_a_child_from_starting(stage: Stage) -> None:
    async with stage.watch(stage.static()) as family:
        stranger = await family.system.root.start_child(stage.probe("stranger", register="n"))
        with pytest.raises(AlreadyStarted) as caught:
            await family.ref.start_child(stage.probe("late", register="n"))
        assert caught.value.ref is stranger
        assert stranger.alive
        assert await family.kids() == []


async def test_a_failing_init_of_the_class_fails_the_start(stage: Stage) -> None:
    class Picky(Actor[Any]):
        def __init__(self, wanted: int) -> None:
            raise Boom(str(wanted))

    async with stage.system() as system:
        with pytest.raises(StartFailed) as caught:
            await system.root.start_child(ChildSpec("picky", Picky, kwargs={"wanted": 3}))
        assert str(caught.value.__cause__) == "3"


async def test_a_function_has_started_when_its_task_has(stage: Stage) -> None:
    seen = []

    async def tail(ctx: Context[str], first: str) -> None:
        seen.extend([first, *[message async for message in ctx.inbox]])

    async with stage.system() as system:
        ref = await system.root.start_child(ChildSpec("tail", tail, args=("args",)))
        ref.tell("told")
        await settle()
        assert seen == []
    assert seen == ["args", "told"]
