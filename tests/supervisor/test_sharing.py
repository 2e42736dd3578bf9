"""Specifications that many children share, and what tells the children apart."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from mission_control.supervisor import (
    BadSpec,
    ChildSpec,
    DynamicSupervisor,
    Supervisor,
    SupervisorSpec,
    System,
)

from .stage import CrashNow, Say, Stage, settle


def named(stage: Stage, child_id: str = "worker") -> ChildSpec:
    """Specify a probe that is registered under its last argument."""
    return stage.probe(child_id, register=lambda *args: args[-1] and f"{child_id}/{args[-1]}")


def crew(stage: Stage, name: object, *children: ChildSpec) -> SupervisorSpec:
    """Specify a supervisor of *children*, each of whom is given *name*."""
    return Supervisor.spec(f"crew {name}", children, args=(name,), lane=stage.lane)


async def said(system: System, name: str) -> object:
    found = system.whereis(name)
    return None if found is None else await found.ask(Say("x"))


async def test_supervisors_share_specifications_and_tell_their_children_apart(
    stage: Stage,
) -> None:
    children = (named(stage), named(stage, "other"))
    async with stage.system() as system:
        for name in ("a", "b"):
            await system.root.start_child(crew(stage, name, *children))
        for name in ("a", "b"):
            assert await said(system, f"worker/{name}") == (name, "x")
            assert await said(system, f"other/{name}") == (name, "x")


async def test_a_child_is_started_again_with_what_its_supervisor_adds(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(crew(stage, "a", named(stage)))
        (child,) = await ref.children()
        child.ref.tell(CrashNow())
        await settle()
        assert child.ref.incarnation == 2
        assert system.whereis("worker/a") is child.ref
        assert await said(system, "worker/a") == ("a", "x")


async def test_a_name_that_was_made_is_free_when_its_owner_ends(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(crew(stage, "a", named(stage)))
        await ref.terminate_child("worker")
        assert system.whereis("worker/a") is None
        await ref.restart_child("worker")
        assert await said(system, "worker/a") == ("a", "x")
        await system.root.terminate_child("crew a")
        assert system.whereis("worker/a") is None


async def test_who_comes_later_is_given_the_same(stage: Stage) -> None:
    async with stage.system() as system:
        ref = await system.root.start_child(crew(stage, "a", named(stage)))
        await ref.start_child(named(stage, "late"))
        assert await said(system, "late/a") == ("a", "x")
        changed = attrs.evolve(named(stage), args=(stage, "worker", "new"))
        await ref.reconfigure(specs=[changed, named(stage, "new")])
        for child_id in ("worker", "new"):
            await ref.terminate_child(child_id)
            await ref.restart_child(child_id)
        assert await said(system, "worker/a") == ("new", "a", "x")
        assert await said(system, "new/a") == ("a", "x")


async def test_children_of_a_template_have_names_of_their_own(stage: Stage) -> None:
    template = DynamicSupervisor.spec("sup", template=named(stage, "p"), lane=stage.lane)
    async with stage.watch(template) as family:
        first, second = [await family.ref.start_child(name) for name in ("a", "b")]
        assert family.system.whereis("p/a") is first
        assert family.system.whereis("p/b") is second


@pytest.mark.parametrize("name", [None, "", 7], ids=repr)
async def test_what_is_no_name_keeps_a_child_from_starting(stage: Stage, name: Any) -> None:
    def fails(*args: Any) -> Any:
        return name if name is not None else args[99]

    spec = stage.probe("nameless", register=fails)
    template = DynamicSupervisor.spec("sup", template=spec, lane=stage.lane)
    for supervisor in (stage.static("sibling"), template):
        async with stage.watch(supervisor) as family:
            before = await family.kids()
            with pytest.raises(BadSpec, match="register"):
                await family.ref.start_child(*([spec] if supervisor is not template else []))
            assert await family.kids() == before
            assert family.ref.alive
