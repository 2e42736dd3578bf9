"""`mission.file.*` on a whole sidecar: answers, identities, the log, keys, locks."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from mission_control import MissionControl
from mission_control.actors import AgentIdentity, FileLedger, Life, Outcome, PulseOrder, files_name
from mission_control.gateway_bridge._callers import Access, Caller, of_agent
from mission_control.gateway_bridge._table import call
from mission_control.gateway_bridge._tools import TOOLS
from mission_control.gateway_bridge.methods.files import MAX_READ
from mission_control.storage import (
    Conflict,
    Deadline,
    Fence,
    Forbidden,
    Invalid,
    Limited,
    MissionError,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from mission_control.storage.commands import NoteFileChange
from mission_control.storage.files import Limits, LockTimeout, _writing
from mission_control.storage.files._locks import Hold
from mission_control.storage.files._rename import exchange
from mission_control.storage.files._root import ProjectRoot
from rig import DONE, Open, ScriptedRunner, crew, until
from system_doors import busy, idle

PERSON = Caller("ann", Access.WRITE)
READER = Caller("bob", Access.READ)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(name="mc")
async def sidecar(open_home: Open) -> AsyncIterator[MissionControl]:
    async with open_home(idle()) as mc:
        await crew(mc, "shuri", project="P")
        await crew(mc, "okoye", project="Q")
        yield mc


def source(mc: MissionControl, name: str, project: str = "p") -> Path:
    return mc.mission.home.scope(project).src / name


def told(mc: MissionControl, project: str = "p") -> list[Any]:
    return [e for e in mc.mission.reads.events(project_id=project) if e.kind == "file"]


def looks_only(agent_id: str = "shuri:p") -> Caller:
    """An agent that nobody has woken."""
    return of_agent(AgentIdentity(agent_id, agent_id.partition(":")[2], "", None))


async def test_a_file_is_written_read_changed_and_deleted(mc: MissionControl) -> None:
    where = {"project_id": "p", "path": "src/a.txt"}
    written = await mc.call("mission.file.write", **where, content="one")
    assert written == {
        "operation": "write",
        "path": "src/a.txt",
        "kind": "file",
        "size": 3,
        "sha256": sha(b"one"),
        "before_sha256": None,
        "created": True,
    }
    await mc.call("mission.file.append", **where, content=" two")
    edited = await mc.call("mission.file.edit", **where, old="one", new="1")
    assert (edited["before_sha256"], edited["sha256"]) == (sha(b"one two"), sha(b"1 two"))
    read = await mc.call("mission.file.read", **where)
    assert (read["content"], read["sha256"], read["next"]) == ("1 two", sha(b"1 two"), None)
    assert (await mc.call("mission.file.stat", **where))["size"] == 5
    assert (await mc.call("mission.file.exists", **where))["exists"] is True
    await mc.call("mission.file.mkdir", project_id="p", path="src/d/e", parents=True)
    moved = await mc.call("mission.file.move", **where, target="src/d/b.txt")
    assert (moved["target"], moved["sha256"]) == ("src/d/b.txt", sha(b"1 two"))
    listed = await mc.call("mission.file.list", project_id="p", path="src/d")
    assert [(each["name"], each["kind"]) for each in listed["entries"]] == [
        ("b.txt", "file"),
        ("e", "folder"),
    ]
    found = await mc.call("mission.file.search", project_id="p", text="two")
    assert found["matches"][0] == {"path": "src/d/b.txt", "line": 1, "column": 3, "text": "1 two"}
    await mc.call("mission.file.delete", project_id="p", path="src/d", recursive=True)
    assert not source(mc, "d").exists()


async def test_of_secrets_nothing_is_told_but_that_they_changed(mc: MissionControl) -> None:
    secret = {"project_id": "p", "path": ".secrets/pin"}
    await mc.call("mission.file.mkdir", project_id="p", path=".secrets")
    written = await mc.call("mission.file.write", **secret, content="4711")
    assert written["sha256"] == sha(b"4711")
    await mc.call("mission.file.move", **secret, target=".secrets/code")
    for event in told(mc):
        words = event.thought + event.action
        assert ".secrets" in words
        assert not any(hint in words for hint in ("pin", "code", sha(b"4711"), "4 bytes"))


async def test_bytes_that_are_no_text_go_through_as_base64(mc: MissionControl) -> None:
    where, data = {"project_id": "p", "path": "src/b"}, bytes(range(256))
    content = base64.b64encode(data).decode()
    await mc.call("mission.file.write", **where, content=content, encoding="base64")
    assert source(mc, "b").read_bytes() == data
    read = await mc.call("mission.file.read", **where, encoding="base64")
    assert base64.b64decode(read["content"]) == data
    with pytest.raises(Invalid, match="UTF-8"):
        await mc.call("mission.file.read", **where)
    with pytest.raises(Invalid, match="not base64") as refused:
        await mc.call("mission.file.write", **where, content="%", encoding="base64")
    assert refused.value.details["field"] == "content"
    assert source(mc, "b").read_bytes() == data


async def test_a_long_file_is_read_in_ranges_that_cut_no_character(mc: MissionControl) -> None:
    text = "aé€😀" * 50
    source(mc, "long").write_text(text, "utf-8")
    parts, at = [], 0
    while at is not None:
        part = await mc.call(
            "mission.file.read", project_id="p", path="src/long", offset=at, length=7
        )
        parts.append(part["content"])
        at = part["next"]
    assert "".join(parts) == text
    for beyond in (2**63, 2**80):
        with pytest.raises(Invalid, match="before 2"):
            await mc.call("mission.file.read", project_id="p", path="src/long", offset=beyond)
    end = await mc.call("mission.file.read", project_id="p", path="src/long", offset=2**63 - 1)
    assert (end["content"], end["next"]) == ("", None)
    with pytest.raises(Invalid, match="shorter than the character"):
        await mc.call("mission.file.read", project_id="p", path="src/long", offset=1, length=1)


async def test_one_call_answers_with_a_limited_part(mc: MissionControl) -> None:
    source(mc, "big").write_bytes(b"x" * (MAX_READ + 1))
    where = {"project_id": "p", "path": "src/big"}
    with pytest.raises(Limited, match="give a length") as refused:
        await mc.call("mission.file.read", **where)
    assert refused.value.details["reason"] == "too_large"
    part = await mc.call("mission.file.read", **where, length=1 << 40)
    assert (len(part["content"]), part["next"]) == (MAX_READ, MAX_READ)
    source(mc, "big").write_bytes(b"x" * MAX_READ)
    assert len((await mc.call("mission.file.read", **where))["content"]) == MAX_READ


async def test_a_file_that_changed_meanwhile_is_not_written_over(mc: MissionControl) -> None:
    where = {"project_id": "p", "path": "src/a"}
    await mc.call("mission.file.write", **where, content="one", expected_sha256="absent")
    with pytest.raises(Conflict):
        await mc.call("mission.file.write", **where, content="two", expected_sha256="absent")
    with pytest.raises(Conflict):
        await mc.call("mission.file.write", **where, content="two", overwrite=False)
    with pytest.raises(Conflict) as refused:
        await mc.call("mission.file.write", **where, content="two", expected_sha256=sha(b"?"))
    assert refused.value.details["sha256"] == sha(b"one")
    for nonsense in ("abc", "", sha(b"one") + "\n"):
        with pytest.raises(Invalid, match="64 digits"):
            await mc.call("mission.file.write", **where, content="two", expected_sha256=nonsense)
    as_others_write_it = sha(b"one").upper()
    await mc.call("mission.file.write", **where, content="two", expected_sha256=as_others_write_it)
    assert source(mc, "a").read_text() == "two"
    assert len(told(mc)) == 2


@pytest.mark.parametrize(
    ("caller", "path", "allowed"),
    [
        (looks_only(), "src/a", True),
        (looks_only(), "agents/shuri/working.md", True),
        (looks_only(), "agents/shuri/SOUL.md", False),
        (looks_only(), "top.txt", False),
        (looks_only(), "KANBAN.md", False),
        (looks_only("okoye:q"), "src/a", False),
        (PERSON, "top.txt", True),
        (PERSON, ".context", True),
        (PERSON, "agents/shuri/SOUL.md", False),
        (Caller("root", Access.ADMIN), "agents/shuri/SOUL.md", True),
        (Caller("root", Access.ADMIN), "KANBAN.md", False),
        (READER, "src/a", False),
    ],
)
async def test_who_calls_decides_what_may_be_written(
    mc: MissionControl, caller: Caller, path: str, *, allowed: bool
) -> None:
    params = {"project_id": "p", "path": path, "content": "x"}
    if allowed:
        await call(mc.mission, caller, "mission.file.write", params)
    else:
        with pytest.raises(Forbidden):
            await call(mc.mission, caller, "mission.file.write", params)
    assert len(told(mc)) == allowed


async def test_an_agent_reads_its_own_project_and_no_other(mc: MissionControl) -> None:
    source(mc, "a", "q").write_text("theirs")
    shuri = looks_only()
    for method in ("read", "stat", "exists"):
        with pytest.raises(Forbidden, match="works in p"):
            await call(
                mc.mission, shuri, f"mission.file.{method}", {"project_id": "q", "path": "src/a"}
            )
    with pytest.raises(Forbidden, match="works in p"):
        await call(mc.mission, shuri, "mission.lock.list", {"project_id": "q"})
    listed = await call(mc.mission, shuri, "mission.file.list", {})
    assert "KANBAN.md" in {each["name"] for each in listed["entries"]}


async def test_a_change_is_told_without_its_content(mc: MissionControl) -> None:
    await mc.call("mission.file.write", project_id="p", path="src/a", content="a secret")
    await mc.call("mission.file.move", project_id="p", path="src/a", target="src/b")
    first, second = told(mc)
    assert (first.thought, second.thought) == (
        "write src/a, 8 bytes",
        "move src/a to src/b, 8 bytes",
    )
    assert json.loads(first.action) == {
        "operation": "write",
        "path": "src/a",
        "kind": "file",
        "size": 8,
        "after": sha(b"a secret"),
        "created": True,
    }
    assert json.loads(second.action)["before"] == sha(b"a secret")
    changes = mc.mission.reads.touched("p", 0)
    assert {c.actor for c in changes if c.entity_id == first.id} == {"local"}
    assert "a secret" not in str(changes)


async def test_what_fails_after_it_was_told_is_told_as_failed(
    mc: MissionControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProjectRoot, "leads_to", lambda *_: False)
    with pytest.raises(Forbidden, match="moved meanwhile"):
        await mc.call("mission.file.write", project_id="p", path="src/a", content="x")
    assert [event.thought for event in told(mc)] == [
        "write src/a, 1 bytes",
        "write src/a, 1 bytes: failed, outside_jail",
    ]
    assert not source(mc, "a").exists()


async def test_a_change_that_is_refused_is_not_told(mc: MissionControl) -> None:
    source(mc, "link").symlink_to("/etc")
    for method, params in (
        ("write", {"path": "src/link", "content": "x"}),
        ("append", {"path": "src/link/x", "content": "x"}),
        ("edit", {"path": "src/none", "old": "x", "new": "y"}),
        ("mkdir", {"path": "src"}),
        ("mkdir", {"path": "src/link"}),
        ("mkdir", {"path": "src/link/x", "parents": True}),
        ("move", {"path": "src/none", "target": "src/b"}),
        ("move", {"path": "src", "target": "src/b"}),
        ("delete", {"path": "src/none"}),
        ("delete", {"path": ".."}),
    ):
        with pytest.raises(MissionError) as refused:
            await mc.call(f"mission.file.{method}", project_id="p", **params)
        assert refused.value.details["reason"]
    assert not told(mc)


KEYED: list[tuple[str, dict[str, Any]]] = [
    ("write", {"path": "src/new", "content": "x"}),
    ("append", {"path": "src/log", "content": "x"}),
    ("edit", {"path": "src/log", "old": "log", "new": "logs"}),
    ("mkdir", {"path": "src/d"}),
    ("move", {"path": "src/log", "target": "src/moved"}),
    ("delete", {"path": "src/log"}),
]


FOLDER_DELETED: tuple[str, dict[str, Any]] = ("delete", {"path": "src/build", "recursive": True})


@pytest.mark.parametrize(("method", "params"), KEYED)
async def test_the_same_key_changes_a_file_once(
    mc: MissionControl, method: str, params: dict[str, Any]
) -> None:
    source(mc, "log").write_text("log")
    name, keyed = f"mission.file.{method}", {"project_id": "p", "idempotency_key": "k", **params}
    first = await mc.call(name, **keyed)
    before = _tree(mc)
    assert await mc.call(name, **keyed) == first
    assert _tree(mc) == before
    assert len(told(mc)) == 1
    with pytest.raises(Conflict, match="another request"):
        await mc.call(name, **keyed | {"path": "src/other"})


@pytest.mark.parametrize(("method", "params"), [*KEYED, FOLDER_DELETED])
async def test_the_same_key_changes_a_file_once_even_if_somebody_undid_it(
    mc: MissionControl, method: str, params: dict[str, Any]
) -> None:
    _prepare(mc)
    before = _tree(mc)
    name, keyed = f"mission.file.{method}", {"project_id": "p", "idempotency_key": "k", **params}
    first = await mc.call(name, **keyed)
    shutil.rmtree(source(mc, ""))
    _prepare(mc)
    assert await mc.call(name, **keyed) == first
    assert _tree(mc) == before


@pytest.mark.parametrize(("method", "params"), [*KEYED, FOLDER_DELETED])
async def test_a_change_that_failed_is_tried_again_with_its_key(
    mc: MissionControl, monkeypatch: pytest.MonkeyPatch, method: str, params: dict[str, Any]
) -> None:
    _prepare(mc)
    name, keyed = f"mission.file.{method}", {"project_id": "p", "idempotency_key": "k", **params}
    before = _tree(mc)
    with monkeypatch.context() as broken:
        broken.setattr(ProjectRoot, "leads_to", lambda *_: False)
        for _ in range(2):
            with pytest.raises(Forbidden, match="moved meanwhile"):
                await mc.call(name, **keyed)
    assert _tree(mc) == before
    await mc.call(name, **keyed)
    assert _tree(mc) != before


async def test_a_change_that_failed_because_others_wrote_is_not_told_as_made(
    mc: MissionControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    source(mc, "a").write_text("one")
    keyed = {"project_id": "p", "path": "src/a", "content": "two", "idempotency_key": "k"}

    def meanwhile(*names: Any) -> None:
        source(mc, "a").write_text("theirs")
        exchange(*names)

    with monkeypatch.context() as hurried:
        hurried.setattr(_writing, "exchange", meanwhile)
        with pytest.raises(Conflict):
            await mc.call("mission.file.write", **keyed, expected_sha256=sha(b"one"))
    with pytest.raises(Conflict) as refused:
        await mc.call("mission.file.write", **keyed, expected_sha256=sha(b"one"))
    assert refused.value.details["sha256"] == sha(b"theirs")


@pytest.fixture(name="killed")
def after_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep nothing of what became of a change: as after a kill that came between."""

    async def nothing(*_: object) -> None:
        pass

    monkeypatch.setattr(FileLedger, "note_made", nothing)
    monkeypatch.setattr(FileLedger, "note_failure", nothing)


@pytest.mark.usefixtures("killed")
@pytest.mark.parametrize(("method", "params"), KEYED)
async def test_a_change_that_a_kill_prevented_is_made_when_it_is_asked_for_again(
    mc: MissionControl, monkeypatch: pytest.MonkeyPatch, method: str, params: dict[str, Any]
) -> None:
    _prepare(mc)
    name, keyed = f"mission.file.{method}", {"project_id": "p", "idempotency_key": "k", **params}
    before = _tree(mc)
    with monkeypatch.context() as broken:
        broken.setattr(ProjectRoot, "leads_to", lambda *_: False)
        with pytest.raises(MissionError):
            await mc.call(name, **keyed)
    assert _tree(mc) == before
    await mc.call(name, **keyed)
    assert _tree(mc) != before


@pytest.mark.usefixtures("killed")
@pytest.mark.parametrize(("method", "params"), [*KEYED, FOLDER_DELETED])
async def test_a_change_that_was_made_before_a_kill_is_not_made_again(
    mc: MissionControl, method: str, params: dict[str, Any]
) -> None:
    _prepare(mc)
    name, keyed = f"mission.file.{method}", {"project_id": "p", "idempotency_key": "k", **params}
    first = await mc.call(name, **keyed)
    made = _tree(mc)
    assert await mc.call(name, **keyed) == first
    assert _tree(mc) == made


@pytest.mark.usefixtures("killed")
@pytest.mark.parametrize(
    ("method", "params", "others"),
    [
        ("append", {"path": "src/log", "content": "x"}, {"log": "logx and more"}),
        ("write", {"path": "src/new", "content": "x"}, {"new": "y"}),
        ("mkdir", {"path": "src/d"}, {"d": "a file"}),
        ("move", {"path": "src/log", "target": "src/to"}, {"log": "other", "to": "other"}),
        ("delete", {"path": "src/log"}, {"log": "other"}),
        (*FOLDER_DELETED, {"build/new": "work"}),
    ],
)
async def test_what_nobody_can_tell_after_a_kill_is_left_alone(
    mc: MissionControl, method: str, params: dict[str, Any], others: dict[str, str]
) -> None:
    _prepare(mc)
    name, keyed = f"mission.file.{method}", {"project_id": "p", "idempotency_key": "k", **params}
    await mc.call(name, **keyed)
    shutil.rmtree(source(mc, ""))
    for path, text in others.items():
        source(mc, path).parent.mkdir(parents=True, exist_ok=True)
        source(mc, path).write_text(text)
    before = _tree(mc)
    with pytest.raises(Conflict, match="nothing tells whether it was done"):
        await mc.call(name, **keyed)
    assert _tree(mc) == before


def _prepare(mc: MissionControl) -> None:
    source(mc, "build").mkdir(parents=True)
    source(mc, "build/made").write_text("work")
    source(mc, "log").write_text("log")


def _tree(mc: MissionControl) -> dict[str, bytes | None]:
    src = mc.mission.home.scope("p").src
    return {
        str(path.relative_to(src)): path.read_bytes() if path.is_file() else None
        for path in src.rglob("*")
    }


async def test_an_agent_at_work_is_told_of_in_its_tasks_stream_under_its_lease(
    open_home: Open,
) -> None:
    seen: dict[str, Any] = {}

    async def script(order: PulseOrder, life: Life) -> Outcome:
        seen["identity"] = identity = mc.mission.tokens.holder(order.token)
        assert identity is not None
        seen["caller"] = of_agent(identity)
        await call(
            mc.mission, seen["caller"], "mission.file.write", {"path": "src/a", "content": "x"}
        )
        await trio.sleep_forever()
        return DONE

    async with open_home(ScriptedRunner(script)) as mc:
        await crew(mc, "shuri")
        task = await mc.call("mission.task.create", project_id="p", title="T", assignee_id="shuri")
        await until(mc, lambda: source(mc, "a").exists())
        (event,) = told(mc)
        assert event.task_id == task["task_id"]
        assert event.agent_id == "shuri:p"
        assert event.pulse_id == seen["identity"].pulse_id
        # The door knows the token's end; the lease is what holds where it does not know yet.
        late = of_agent(
            AgentIdentity("shuri:p", "p", "", task["task_id"], Fence("agent:shuri:p", 99))
        )
        with pytest.raises(Forbidden, match="too late"):
            await call(mc.mission, late, "mission.file.write", {"path": "src/b", "content": "x"})
        assert not source(mc, "b").exists()
        await mc.call("mission.agent.kill", instance_id="shuri:p")
        await until(mc, lambda: mc.mission.tokens.of_agent("shuri:p") is None)
        with pytest.raises((Unauthenticated, Forbidden)):
            await call(
                mc.mission, seen["caller"], "mission.file.write", {"path": "src/a", "content": "y"}
            )
        assert source(mc, "a").read_text() == "x"


async def test_files_do_not_crowd_thoughts_out_of_what_an_agent_is_told(open_home: Open) -> None:
    runner = busy()
    async with open_home(runner) as mc:
        await crew(mc, "shuri")
        created = await mc.call("mission.task.create", project_id="p", title="T")
        await mc.call(
            "mission.control.log_event", task_id=created["task_id"], thought="remember me"
        )
        shuri = of_agent(AgentIdentity("shuri:p", "p", "", created["task_id"]))
        for number in range(20):
            await call(
                mc.mission,
                shuri,
                "mission.file.write",
                {"path": f"src/{number}", "content": ""},
            )
        await mc.call("mission.task.assign", task_id=created["task_id"], assignee_id="shuri")
        await until(mc, lambda: bool(runner.orders))
        assert "remember me" in runner.orders[0].status_text
        assert "write src/" not in runner.orders[0].status_text


async def test_who_waits_for_a_file_is_told_who_has_it(mc: MissionControl) -> None:
    where = {"project_id": "p", "path": "src/a", "content": "x"}
    async with held(mc.mission.files.locks.hold("p", [("src", "A")], "agent okoye:p")):
        with pytest.raises(LockTimeout, match="agent okoye:p") as late:
            await mc.call("mission.file.write", **where, wait_s=0.01)
        assert late.value.to_wire()["data"]["kind"] == "lock_timeout"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_write, mc, where)
            await until(mc, lambda: bool(mc.mission.files.locks.list()[-1].queue))
            listed = (await mc.call("mission.lock.list", project_id="p"))["locks"]
            assert [(each["path"], each["holder"], each["queue"]) for each in listed] == [
                (".", "agent okoye:p", []),
                (".", "operator ann", []),
                ("src/a", "agent okoye:p", ["operator ann"]),
            ]
            assert (await mc.call("mission.lock.list", project_id="q"))["locks"] == []
            nursery.cancel_scope.cancel()
        await until(mc, lambda: not mc.mission.files.locks.list()[-1].queue)
    assert not source(mc, "a").exists()
    assert not mc.mission.files.locks.list()


async def _write(mc: MissionControl, params: dict[str, Any]) -> None:
    await call(mc.mission, PERSON, "mission.file.write", dict(params))


@asynccontextmanager
async def held(hold: Hold) -> AsyncIterator[None]:
    """Have another task hold files while the block runs."""

    async def run(*, task_status: trio.TaskStatus[None]) -> None:
        async with hold:
            task_status.started()
            await over.wait()

    over = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        yield
        over.set()


async def test_a_call_that_is_late_leaves_the_queue(mc: MissionControl) -> None:
    async with held(mc.mission.files.locks.hold_project("p", "somebody")):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(mc.call, "mission.file.mkdir", project_id="p", path="src/d"))
            await until(mc, lambda: bool(mc.mission.files.locks.list()[0].queue))
            nursery.cancel_scope.cancel()
        await wait_all_tasks_blocked()
        assert not mc.mission.files.locks.list()[0].queue
    assert not source(mc, "d").exists()
    with pytest.raises(Invalid, match="wait_s"):
        await mc.call("mission.file.mkdir", project_id="p", path="src/d", wait_s=31)


async def test_an_archived_project_has_no_files_until_it_is_restored(mc: MissionControl) -> None:
    where = {"project_id": "p", "path": "src/a"}
    await mc.call("mission.file.write", **where, content="x")
    async with (
        held(mc.mission.files.locks.hold("p", [("src", "a")], "somebody")),
        trio.open_nursery() as nursery,
    ):
        refusals: list[MissionError] = []

        async def wait_for_it() -> None:
            try:
                await mc.call("mission.file.append", **where, content="y")
            except MissionError as refusal:
                refusals.append(refusal)

        nursery.start_soon(wait_for_it)
        await until(mc, lambda: bool(mc.mission.files.locks.list()[-1].queue))
        await mc.call("mission.project.archive", project_id="p")
        await until(mc, lambda: bool(refusals))
        assert isinstance(refusals[0], Unavailable)
    for method in ("read", "delete"):
        with pytest.raises(Conflict, match="archived"):
            await mc.call(f"mission.file.{method}", **where)
    await mc.call("mission.project.restore", project_id="p")
    await until(mc, lambda: mc.mission.system.whereis(files_name("p")) is not None)
    assert (await mc.call("mission.file.read", **where))["content"] == "x"


async def test_a_deleted_project_leaves_nothing_behind_that_the_next_one_would_meet(
    mc: MissionControl,
) -> None:
    where = {"project_id": "p", "path": "src/a"}
    await mc.call("mission.file.write", **where, content="x")
    assert mc.mission.files._quotas
    await mc.call("mission.project.delete", project_id="p")
    assert not mc.mission.files._quotas
    assert not _open_below(mc.mission.home.projects / "p")
    with pytest.raises(NotFound):
        await mc.call("mission.file.write", **where, content="x")
    assert not mc.mission.home.scope("p").path.exists()


async def test_a_project_that_is_full_takes_no_more(
    mc: MissionControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    source(mc, "a").write_bytes(b"x" * 1000)
    monkeypatch.setattr(mc.mission.files, "_limits", Limits(project_bytes=1100))
    where = {"project_id": "p", "path": "src/b"}
    with pytest.raises(Limited) as refused:
        await mc.call("mission.file.write", **where, content="y" * 1000)
    assert refused.value.details["reason"] == "quota_exceeded"
    assert [event.thought for event in told(mc)][-1].endswith("failed, quota_exceeded")
    await mc.call("mission.file.delete", project_id="p", path="src/a")
    await mc.call("mission.file.write", **where, content="y" * 500)


async def test_the_status_says_how_files_are_opened(mc: MissionControl) -> None:
    assert (await mc.call("mission.system.status"))["files"] in {
        "openat2",
        "walk",
        "O_NOFOLLOW_ANY",
    }


async def test_a_project_that_is_not_there_is_said_so(mc: MissionControl) -> None:
    with pytest.raises(NotFound):
        await mc.call("mission.file.list", project_id="nowhere")
    with pytest.raises(Invalid) as refused:
        await mc.call("mission.file.list", project_id="../p")
    assert refused.value.details["field"] == "project_id"


async def test_a_tool_call_is_one_of_a_method(mc: MissionControl) -> None:
    tool, shuri = TOOLS["mission_file"], looks_only()

    async def use(**args: object) -> Any:
        return await call(mc.mission, shuri, *tool.translate(args))

    assert (await use(action="write", path="src/a", content="é" * 40_000))["size"] == 80_000
    read = await use(action="read", path="src/a")
    assert (len(read["content"]), read["next"]) == (32_768, 65_536)
    assert (await use(action="list"))["path"] == "."
    assert (await use(action="exists", path="src/b"))["exists"] is False
    for args in ({"action": "chmod"}, {}, {"action": "read", "path": "a", "project_id": "q"}):
        with pytest.raises(Invalid):
            await use(**args)
    with pytest.raises(Invalid, match="wait_s"):
        await use(action="delete", path="src/a", wait_s=1)


async def test_no_folder_stays_open_when_the_sidecar_has_ended(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        await crew(mc)
        projects = mc.mission.home.projects
        await mc.call("mission.file.write", project_id="p", path="src/a", content="x")
        assert _open_below(projects) == {str(projects), str(projects / ".staging")}
    assert _open_below(projects) == set()


def _open_below(folder: Path) -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(entry.readlink()))
        except OSError:
            continue
    return {path for path in found if path == str(folder) or path.startswith(f"{folder}/")}


async def test_an_answer_that_is_late_is_a_deadline_and_frees_the_file(
    mc: MissionControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mission_control.gateway_bridge.methods.files.DISK_WITHIN_S", 0.01)
    gate = trio.Event()
    write = type(mc.mission.store).write

    async def slow(store: Any, command: Any, **how: Any) -> Any:
        if isinstance(command, NoteFileChange):
            await gate.wait()
        return await write(store, command, **how)

    monkeypatch.setattr(type(mc.mission.store), "write", slow)
    where = {"project_id": "p", "path": "src/a", "content": "x"}
    with pytest.raises(Deadline):
        await mc.call("mission.file.write", **where, wait_s=0)
    await until(mc, lambda: not mc.mission.files.locks.list())
    gate.set()
    assert not source(mc, "a").exists()
