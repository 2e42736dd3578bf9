"""Sessions in the Gateway: what it is asked, and what its answers are taken for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

import mission_control
from mission_control import Config
from mission_control.actors import HostAgent, OutcomeKind, SessionOrder
from mission_control.config import ListenSettings
from mission_control.gateway_bridge._openclaw import OpenClawRunner
from mission_control.gateway_bridge._sessions import Place, id_of, page_of, status_of
from mission_control.storage import Invalid
from rig import FAST, crew, until

from .fake_gateway import FakeGateway, Frame, Peer
from .test_link import linked
from .test_runner import OK, ORDER, Host, accepts, hosted

KEY = ORDER.session_key
COMMAND = {"kind": "exec", "runId": "exec:x", "taskId": "t-9"}


def row(number: int, role: str = "user", content: Any = "said", **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, "__openclaw": {"seq": number}, **more}


def test_a_reset_makes_another_session_of_it() -> None:
    first = {"sessionId": "s", "entry": {"lifecycleRevision": "r1"}}
    again = {"sessionId": "s", "entry": {"lifecycleRevision": "r2"}}
    assert id_of(first) == "s/r1" != id_of(again)
    assert id_of({"sessionId": "s"}) == "s"


def test_a_session_that_the_gateway_does_not_know_has_no_status() -> None:
    info: dict[str, Any] = {"key": KEY, "updatedAt": None, "hasActiveRun": False}
    assert status_of({"messages": [], "sessionInfo": info}) is None
    info = {"spawnedCwd": "/p/src", "updatedAt": 1_795_348_732_722, "hasActiveRun": True}
    status = status_of({"sessionId": "s", "sessionInfo": info})
    assert status is not None
    assert attrs.astuple(status) == ("s", "/p/src", 1_795_348_732_722_000, True)


def test_a_page_holds_what_was_said_and_done() -> None:
    call = {"type": "toolCall", "id": "c", "name": "exec", "arguments": {"command": "echo hi"}}
    text = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "hi"}]
    page = page_of(
        {
            "messages": [
                row(1, content="do it", timestamp=1_000, idempotencyKey="run-1:user"),
                row(2, "assistant", [call]),
                row(3, "toolResult", text, toolName="exec"),
                row(4, "system", None),
                {"role": "user", "content": "of no number"},
            ],
            "hasMore": False,
        },
        None,
    )
    assert page.earlier is None
    assert [(e.role, e.text, e.tool) for e in page.entries] == [
        ("user", "do it", None),
        ("assistant", 'exec({"command": "echo hi"})', "exec"),
        ("tool", "hi", "exec"),
        ("system", "", None),
    ]
    assert (page.entries[0].at, page.entries[0].run_id) == (1_000_000, "run-1")


@attrs.define
class Growing:
    """A transcript that is paged from its newest row, and grows meanwhile."""

    rows: int

    def page(self, limit: int, offset: int) -> dict[str, Any]:
        end = max(0, self.rows - offset)
        begin = max(0, end - limit)
        answer: dict[str, Any] = {
            "messages": [row(n + 1, content=str(n + 1)) for n in range(begin, end)]
        }
        return answer | {"hasMore": begin > 0, "nextOffset": offset + end - begin}

    def read(self, limit: int, grow: Iterator[int]) -> list[int]:
        """Page through all of it, growing by so many rows before each page."""
        found, place = list[int](), None
        while True:
            self.rows += next(grow)
            history = self.page(limit, place.offset if place else 0)
            page = page_of(history, place)
            found = [int(entry.text) for entry in page.entries] + found
            if page.earlier is None:
                return found
            place = Place.parse(page.earlier)


@pytest.mark.parametrize("growth", [0, 1, 2, 3])
def test_what_is_added_while_it_is_paged_neither_hides_nor_repeats_an_entry(growth: int) -> None:
    # The first page is of what was there then.
    steps = iter([0, *[growth] * 3, *[0] * 100])
    assert Growing(11).read(3, steps) == list(range(1, 12))


@pytest.mark.parametrize("cursor", ["", "1", "1.", "x.y", "-1.2", "1.2.3", "٣.٣"])
async def test_a_cursor_that_nobody_gave_is_refused(cursor: str) -> None:
    async with hosted(Host()) as runner:
        with pytest.raises(Invalid, match="`earlier`"):
            await runner.transcript(ORDER, cursor=cursor, limit=1)


async def test_a_page_is_asked_for_where_the_last_one_ended() -> None:
    history = {"messages": [row(3)], "hasMore": True, "nextOffset": 2}
    host = Host({"chat.history": history})
    async with hosted(host) as runner:
        page = await runner.transcript(ORDER, cursor=None, limit=2)
        assert host.params["chat.history"] == {"sessionKey": KEY, "limit": 2}
        await runner.transcript(ORDER, cursor=page.earlier, limit=2)
        assert host.params["chat.history"] == {"sessionKey": KEY, "limit": 2, "offset": 2}


@pytest.mark.parametrize("method", ["sessions.reset", "sessions.delete"])
async def test_with_a_conversation_end_the_commands_that_it_left_running(method: str) -> None:
    host = Host({"tasks.list": {"tasks": [COMMAND, {"kind": "cli", "taskId": "t-1"}]}})
    async with hosted(host) as runner:
        end = runner.reset_session if method == "sessions.reset" else runner.end_session
        await end(SessionOrder(ORDER.agent_id, KEY, ORDER.cwd))
    assert host.seen == ["tasks.list", "tasks.cancel", method]
    assert host.params["tasks.cancel"] == {"taskId": "t-9", "reason": "aborted"}
    assert host.params[method] == {"key": KEY}


async def test_the_gateways_own_agents_are_read_with_their_souls() -> None:
    async def file(peer: Peer, request: Frame) -> None:
        name = request["params"]["agentId"]
        there = {"missing": False, "content": "You write."} if name == "writer" else {}
        await peer.answer(request, file={"name": "SOUL.md", "missing": True} | there)

    agents = [
        {"id": "main", "workspace": "/w/main", "model": {"primary": "a/b"}},
        {"id": "writer", "workspace": "/w/writer", "identity": {"name": "The Writer"}},
        {"name": "of no id"},
    ]
    async with hosted(Host({"agents.list": {"agents": agents}, "agents.files.get": file})) as r:
        assert await r.host_agents() == (
            HostAgent("main", "main", "/w/main", "a/b"),
            HostAgent("writer", "The Writer", "/w/writer", ""),
        )
        assert await r.host_soul("writer") == "You write."
        assert await r.host_soul("main") is None


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["deleted", "reset"])
async def test_an_agent_is_told_in_the_very_turn_whose_session_is_not_the_one_it_knew(
    tmp_path: Path, loss: str
) -> None:
    session, turns = {"id": "s-1", "life": "r-1"}, list[str]()

    async def create(peer: Peer, request: Frame) -> None:
        entry = {"lifecycleRevision": session["life"]}
        await peer.answer(request, sessionId=session["id"], entry=entry)

    async def turn(peer: Peer, request: Frame) -> None:
        assert request["params"]["sessionKey"] == KEY
        turns.append(request["params"]["extraSystemPrompt"])
        await accepts(peer, request)

    async def ended(peer: Peer, request: Frame) -> None:
        await peer.answer(request, **(OK | {"runId": request["params"]["runId"]}))

    known = {"messages": [], "hasMore": False}
    methods = {"sessions.create": create, "agent": turn, "agent.wait": ended}
    fake = FakeGateway(handle=Host(methods | {"chat.history": known}))
    config = Config(listen=ListenSettings(port=0), pulse=FAST)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        runner = OpenClawRunner(gateway)
        async with mission_control.open(tmp_path / "home", config, runner=runner) as mc:
            await crew(mc, "coder")

            def rested(count: int) -> bool:
                return len(turns) == count and mc.mission.reads.open_pulse("coder:p") is None

            for count in (1, 2):
                await mc.call("mission.agent.trigger", instance_id="coder:p")
                await until(mc, partial(rested, count))
                session["id" if loss == "deleted" else "life"] = "another"
            last = mc.mission.reads.newest_pulse("coder:p")
    assert last is not None
    assert last.outcome == OutcomeKind.SUCCEEDED.value
    assert ["lost it or began it anew" in told for told in turns] == [False, True]
