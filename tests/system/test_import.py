"""Agents that a Gateway has of its own become souls, and nothing is overwritten."""

from __future__ import annotations

from typing import Any

import pytest

from mission_control import MissionControl
from mission_control.storage import Conflict, Invalid, NotFound
from rig import Open, ScriptedRunner, crew, until
from system_doors import busy, call, idle, post

WRITER = "You write.\n"


def host(**souls: str | None) -> ScriptedRunner:
    runner = idle()
    runner.souls = {name.replace("_", "-"): text for name, text in souls.items()}
    return runner


async def import_(mc: MissionControl, *names: str, **params: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await mc.call("mission.agent.import", names=list(names), **params)
    return answer


def state(mc: MissionControl) -> tuple[int, list[str]]:
    """What must not change where an import is refused."""
    souls = mc.mission.home.path / "souls"
    files = [f"{path} {path.read_bytes()!r}" for path in sorted(souls.rglob("*.md"))]
    return mc.mission.reads.last_seq(), files


async def test_without_names_the_gateways_agents_are_listed_and_nothing_is_changed(
    open_home: Open,
) -> None:
    async with open_home(host(main=None, writer=WRITER, editor="You edit.")) as mc:
        await crew(mc, "editor")
        before = state(mc)
        listed = {each["id"]: each for each in (await import_(mc))["agents"]}
        assert listed["writer"] == {
            "id": "writer",
            "name": "writer",
            "workspace": "/work/writer",
            "model": "a model",
            "soul": "writer",
            "has_soul": True,
            "installed": "none",
        }
        assert (listed["main"]["has_soul"], listed["editor"]["installed"]) == (False, "different")
        assert state(mc) == before


async def test_an_agent_that_is_named_becomes_a_soul(open_home: Open) -> None:
    async with open_home(host(writer=WRITER, other="x")) as mc:
        answer = await import_(mc, "writer", "writer")
        (imported,) = answer["imported"]
        assert (imported["soul"], imported["gateway_agent"]) == ("writer", "writer")
        assert mc.mission.home.soul("writer").read_text() == WRITER
        assert not mc.mission.home.soul("other").exists()
        before = state(mc)
        assert await import_(mc, "writer") == answer
        assert state(mc) == before
        assert (await import_(mc))["agents"][0]["installed"] == "same"


async def test_in_a_project_it_works_with_its_own_agent_of_the_gateway(open_home: Open) -> None:
    runner = host(chief_editor="You edit.")
    async with open_home(runner) as mc:
        await crew(mc)
        answer = await import_(mc, "chief-editor", project_id="p", idempotency_key="k")
        (imported,) = answer["imported"]
        assert imported["instance_id"] == "chief-editor:p"
        assert imported["agent"]["gateway_agent"] == "chief-editor"
        again = await import_(mc, "chief-editor", project_id="p", idempotency_key="k")
        assert again["imported"][0]["instance_id"] == "chief-editor:p"
        await mc.call("mission.session.create", instance_id="chief-editor:p")
        assert list(runner.sessions) == ["agent:chief-editor:mc:p:chief-editor"]


async def test_what_cannot_be_imported_is_refused_whole(open_home: Open) -> None:
    souls = {"writer": WRITER, "mute": None, "blank": " \n", "---": "x", "huge": "x" * 2_097_153}
    runner = host(**souls)
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await crew(mc, project="Old")
        await mc.call("mission.project.archive", project_id="old")
        await mc.call("mission.agent.create", instance_id="editor:p", soul_text="Mine.")
        runner.souls |= {
            "editor": "Theirs.",
            "a_b": "one",
            "a-b": "two",
            "shuri": "You are shuri.\n",
        }
        before = state(mc)
        for names, params, kind, match in (
            (("writer", "nobody"), {}, NotFound, "no agent 'nobody'; it has .*writer"),
            (("writer", "mute"), {}, NotFound, "'mute' has no SOUL.md in /work/mute"),
            (("writer", "blank"), {}, NotFound, "has no SOUL.md"),
            (("writer", "---"), {}, Invalid, "soul must be a slug"),
            (("writer", "huge"), {}, Invalid, "over 2 MiB"),
            (("writer", "editor"), {}, Conflict, "'editor' exists already with another SOUL.md"),
            (("a_b", "a-b"), {}, Conflict, "would both be soul 'a-b'"),
            (("writer",), {"project_id": "nope"}, NotFound, "nope"),
            (("writer",), {"project_id": "old"}, Conflict, "restore it first"),
            (("writer", "shuri"), {"project_id": "p"}, Conflict, "shuri:p exists already"),
        ):
            with pytest.raises(kind, match=match):
                await import_(mc, *names, **params)
            assert state(mc) == before
        assert mc.mission.home.soul("editor").read_text() == "Mine."


@pytest.mark.parametrize("found", ["a link", "a folder", "no text"])
async def test_what_stands_in_the_souls_place_is_left_there(open_home: Open, found: str) -> None:
    async with open_home(host(writer=WRITER)) as mc:
        path = mc.mission.home.soul("writer")
        path.parent.mkdir(parents=True)
        if found == "a link":
            path.symlink_to(path.parent / "elsewhere")
        elif found == "a folder":
            path.mkdir()
        else:
            path.write_bytes(b"\xff\xfe")
        before = path.lstat()
        with pytest.raises(Conflict, match="exists already"):
            await import_(mc, "writer")
        assert path.lstat() == before


async def test_what_the_caller_read_elsewhere_can_be_imported(open_home: Open) -> None:
    async with open_home(host(main="x")) as mc:
        found = [{"id": "writer", "soul_text": WRITER}]
        (listed,) = (await import_(mc, agents=found))["agents"]
        assert (listed["id"], listed["has_soul"]) == ("writer", True)
        await import_(mc, "writer", agents=found)
        assert mc.mission.home.soul("writer").read_text() == WRITER
        with pytest.raises(NotFound, match="it has writer"):
            await import_(mc, "main", agents=found)
        with pytest.raises(Invalid):
            await import_(mc, "main", agents=[{"name": "x"}])


async def test_agents_import_nobody(open_home: Open) -> None:
    runner = busy()
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        await mc.call("mission.agent.trigger", instance_id="shuri:p")
        await until(mc, lambda: bool(runner.recorded))
        answer = (await post(mc, call("mission.agent.import"), runner.orders[0].token)).json
        assert answer["error"]["data"]["kind"] == "forbidden"
