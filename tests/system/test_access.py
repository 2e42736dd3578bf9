"""Who gets in, and how far."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any, get_args, get_type_hints

import attrs
import pytest

from mission_control import MissionControl
from mission_control.gateway_bridge import METHODS, Method
from mission_control.storage import PulseState
from rig import Open, ScriptedRunner, crew, until
from system_doors import UPGRADE, busy, call, http, idle, post, tcp, websocket


def refusal(answer: Any) -> str:
    """Return the kind of an error; fails where there is none."""
    return str(answer["error"]["data"]["kind"])


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Bearer nope", "Basic x"])
async def test_without_the_token_nobody_gets_in_and_it_is_not_told(
    open_home: Open, authorization: str | None
) -> None:
    async with open_home(idle()) as mc:
        headers = {} if authorization is None else {"Authorization": authorization}
        body = b'{"jsonrpc": "2.0", "id": 1, "method": "mission.project.list"}'
        for reply in (
            await http(mc, "POST /rpc", body, **headers),
            await http(mc, "GET /rpc", b"", **headers, **UPGRADE),
        ):
            assert (reply.status, refusal(reply.json)) == (401, "unauthenticated")
            assert "mission-control.token" in reply.text
            assert mc.token not in reply.text


@pytest.mark.parametrize("path", ["POST /rpc", "GET /rpc", "GET /bridge"])
async def test_pages_of_other_origins_and_other_names_for_us_are_refused(
    open_home: Open, path: str
) -> None:
    async with open_home(idle()) as mc:
        port = mc.url.rpartition(":")[2]
        kept = {"Authorization": f"Bearer {mc.token}"}
        if path.startswith("GET"):
            kept |= UPGRADE | {"Sec_WebSocket_Protocol": "mission-bridge.v1"}
        for foreign in (
            {"Host": f"evil.example:{port}"},
            {"Host": "127.0.0.1"},
            {"Host": f"127.0.0.1.evil.example:{port}"},
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": f"https://127.0.0.1:{port}"},
            {"Origin": "http://127.0.0.1:1"},
        ):
            reply = await http(mc, path, b"", **(kept | foreign))
            assert (foreign, reply.status, refusal(reply.json)) == (foreign, 403, "forbidden")
            assert mc.token not in reply.text


async def test_a_page_of_our_own_gets_in(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        for name in ("127.0.0.1", "localhost"):
            own = f"{name}:{mc.url.rpartition(':')[2]}"
            headers = {"Host": own, "Origin": f"http://{own}"}
            body = b'{"jsonrpc": "2.0", "id": 1, "method": "mission.project.list"}'
            reply = await http(mc, "POST /rpc", body, Authorization=f"bearer {mc.token}", **headers)
            assert reply.json["result"]["projects"] == []


async def test_a_home_and_what_is_secret_in_it_are_their_owners_alone(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        home = mc.mission.home
        assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
        for path in (home.database, home.token, home.lock, home.endpoint):
            assert (path.name, stat.S_IMODE(path.stat().st_mode)) == (path.name, 0o600)
        assert mc.token == home.token.read_text().strip()
        assert mc.token not in home.endpoint.read_text()
        assert mc.token not in repr(mc)
    assert not home.endpoint.exists()


async def test_the_token_stays_the_same_from_one_sidecar_to_the_next(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        token = mc.token
    async with open_home(idle()) as mc:
        assert mc.token == token


async def work(mc: MissionControl, project_id: str, soul: str) -> str:
    answer = await mc.call(
        "mission.task.create", project_id=project_id, title=f"of {soul}", assignee_id=soul
    )
    return str(answer["task_id"])


class Shift:
    """Two projects in which three agents are at work, each with its task and its token."""

    def __init__(self, mc: MissionControl, runner: ScriptedRunner) -> None:
        self.mc = mc
        self.task = {order.agent_id: str(order.task_id) for order in runner.orders}
        self.token = {order.agent_id: order.token for order in runner.orders}

    async def as_(self, agent_id: str, method: str, /, **params: object) -> Any:
        return (await post(self.mc, call(method, **params), self.token[agent_id])).json


@asynccontextmanager
async def at_work(open_home: Open) -> AsyncIterator[Shift]:
    runner = busy()
    async with open_home(runner) as mc:
        for project, souls in {"P": ("shuri", "okoye"), "Q": ("shuri",)}.items():
            project_id = await crew(mc, *souls, project=project)
            for soul in souls:
                await work(mc, project_id, soul)
        await until(mc, lambda: len(runner.running) == 3 and all_recorded(mc))
        yield Shift(mc, runner)


def all_recorded(mc: MissionControl) -> bool:
    """Whether the database knows that the attempts run: after that it is quiet."""
    pulses = [mc.mission.reads.open_pulse(agent.id) for agent in mc.mission.reads.agents()]
    return all(pulse is not None and pulse.state is PulseState.RUNNING for pulse in pulses)


async def test_an_agent_may_call_the_methods_for_agents_and_no_others(open_home: Open) -> None:
    async with at_work(open_home) as shift:
        for name, row in METHODS.items():
            answer = await shift.as_("shuri:p", name, unknown=1)
            assert (name, refusal(answer)) == (name, "invalid" if row.agents else "forbidden")


async def test_what_an_agent_leaves_out_is_what_it_is(open_home: Open) -> None:
    async with at_work(open_home) as shift:
        me = "shuri:p"

        async def result(method: str, **params: object) -> Any:
            return (await shift.as_(me, method, **params))["result"]

        assert (await result("mission.task.get"))["task_id"] == shift.task[me]
        assert {t["assignee"] for t in (await result("mission.task.list"))["tasks"]} == {
            "shuri",
            "okoye",
        }
        assert (await result("mission.project.get"))["project_id"] == "p"
        event = await result("mission.control.log_event", thought="I begin")
        newest = (await result("mission.event.list"))["events"][-1]
        assert (newest["id"], newest["agent_id"]) == (event["event_id"], me)
        created = (await result("mission.task.create", title="found on the way"))["task"]
        assert (created["project_id"], created["created_by"]) == ("p", me)
        await result("mission.control.update_chronicle", summary="so it was")
        await result("mission.control.distill_memory", summary="and so it is")
        assert (await result("mission.task.move", new_status="done"))["task"]["status"] == 2


@pytest.mark.parametrize("project_id", ["left out", None, "p"])
async def test_an_agent_is_shown_the_agents_of_its_own_project_only(
    open_home: Open, project_id: str | None
) -> None:
    async with at_work(open_home) as shift:
        params = {} if project_id == "left out" else {"project_id": project_id}
        answer = await shift.as_("shuri:p", "mission.agent.list", **params)
        assert [agent["id"] for agent in answer["result"]["agents"]] == ["okoye:p", "shuri:p"]


async def test_an_agent_that_names_its_project_gets_the_thoughts_of_all_of_it(
    open_home: Open,
) -> None:
    async with at_work(open_home) as shift:
        answer = await shift.as_("shuri:p", "mission.event.list", project_id="p")
        found = {event["task_id"] for event in answer["result"]["events"]}
        assert found == {shift.task["shuri:p"], shift.task["okoye:p"]}


async def test_an_agent_reaches_nothing_of_another_project(open_home: Open) -> None:
    async with at_work(open_home) as shift:
        theirs = shift.task["shuri:q"]
        before = shift.mc.mission.reads.last_seq()
        for method, params in (
            ("mission.project.get", {"project_id": "q"}),
            ("mission.task.create", {"project_id": "q", "title": "x"}),
            ("mission.task.get", {"task_id": theirs}),
            ("mission.task.why", {"task_id": theirs}),
            ("mission.task.list", {"project_id": "q"}),
            ("mission.task.move", {"task_id": theirs, "new_status": "done"}),
            ("mission.agent.list", {"project_id": "q"}),
            ("mission.agent.message", {"instance_id": "shuri:q", "text": "x"}),
            ("mission.event.list", {"project_id": "q"}),
            ("mission.event.list", {"task_id": theirs}),
            ("mission.control.log_event", {"task_id": theirs, "thought": "x"}),
            ("mission.control.request_help", {"task_id": theirs, "issue": "x"}),
            ("mission.control.distill_memory", {"agent_id": "shuri:q", "summary": "x"}),
            ("mission.control.update_chronicle", {"project_id": "q", "summary": "x"}),
        ):
            answer = await shift.as_("shuri:p", method, **params)
            assert (method, refusal(answer)) == (method, "forbidden")
        assert shift.mc.mission.reads.last_seq() == before


def plausible(kind: object) -> object:
    """Return something that a parameter of this type may be."""
    kinds = [option for option in get_args(kind) if option is not type(None)] or [kind]
    match kinds[0]:
        case type() as cls if issubclass(cls, Enum):
            return next(iter(cls)).value
        case type() as cls if issubclass(cls, int | float):
            return 1
        case _:
            return "x"


def naming(row: Method, theirs: dict[str, object]) -> Iterator[dict[str, object]]:
    """Yield parameters of a method that name what belongs to others, one name at a time."""
    hints = get_type_hints(row.params)
    needed = {
        field.name: plausible(hints[field.name])
        for field in attrs.fields(row.params)
        if field.default is attrs.NOTHING and field.name not in theirs
    }
    for name in theirs.keys() & hints.keys():
        yield needed | {name: theirs[name]}


async def test_no_method_at_all_lets_an_agent_into_another_project(open_home: Open) -> None:
    async with at_work(open_home) as shift:
        task_id = shift.task["shuri:q"]
        theirs: dict[str, object] = {
            "project_id": "q",
            "task_id": task_id,
            "agent_id": "shuri:q",
            "instance_id": "shuri:q",
            "depends_on": [task_id],
        }
        before, tried = shift.mc.mission.reads.last_seq(), set()
        for name, row in METHODS.items():
            for params in naming(row, theirs) if row.agents else ():
                answer = await shift.as_("shuri:p", name, **params)
                # A task of another project is none that one could wait for, whoever asks.
                kind = "invalid" if "depends_on" in params else "forbidden"
                assert (name, params, refusal(answer)) == (name, params, kind)
                tried.add(name)
        assert shift.mc.mission.reads.last_seq() == before
        assert {name for name, row in METHODS.items() if row.agents} - tried == NAMES_NOTHING


NAMES_NOTHING = {"mission.system.health"}


async def test_an_agent_does_not_touch_the_task_of_another_of_its_project(
    open_home: Open,
) -> None:
    async with at_work(open_home) as shift:
        theirs = shift.task["okoye:p"]
        before = shift.mc.mission.reads.last_seq()
        for method, params in (
            ("mission.task.move", {"task_id": theirs, "new_status": "done"}),
            ("mission.control.log_event", {"task_id": theirs, "thought": "x"}),
            ("mission.control.request_help", {"task_id": theirs, "issue": "x"}),
            ("mission.control.distill_memory", {"agent_id": "okoye:p", "summary": "x"}),
        ):
            answer = await shift.as_("shuri:p", method, **params)
            assert (method, refusal(answer)) == (method, "forbidden")
        assert shift.mc.mission.reads.last_seq() == before
        seen = await shift.as_("shuri:p", "mission.task.get", task_id=theirs)
        assert seen["result"]["task_id"] == theirs


async def end_pulse(shift: Shift, agent_id: str) -> None:
    """Abort the attempt that *agent_id* makes; the next one has begun when this returns."""
    mc, token = shift.mc, shift.token[agent_id]
    await mc.call("mission.agent.kill", instance_id=agent_id)
    await until(mc, lambda: mc.mission.tokens.holder(token) is None)


async def test_a_late_attempt_writes_nothing_through_any_door(open_home: Open) -> None:
    async with at_work(open_home) as shift:
        mc, task_id, token = shift.mc, shift.task["shuri:p"], shift.token["shuri:p"]
        late = call("mission.task.move", task_id=task_id, new_status="done")
        async with websocket(mc, token=token) as wire, await tcp(mc) as slow:
            await wire.result("mission.subscribe")
            await wire.send(call("mission.control.log_event", thought="I live"))
            while "result" not in await wire.receive():
                pass  # it is told of what it does itself as well
            # Its head is in before the pulse ends, its body comes after that.
            await slow.send_all(
                b"POST /rpc HTTP/1.1\r\nHost: %b\r\nAuthorization: Bearer %b\r\n"
                b"Connection: close\r\nContent-Length: 999\r\n\r\n"
                % (mc.url.removeprefix("http://").encode(), token.encode())
            )
            await end_pulse(shift, "shuri:p")
            assert await wire.closed() == 4401
            await slow.send_all(str(late).replace("'", '"').encode().ljust(999))
            received = b"".join([chunk async for chunk in slow])
            assert b'"kind":"unauthenticated"' in received
        assert (await post(mc, late, token)).status == 401
        assert mc.mission.reads.task(task_id).status.name != "DONE"
        thoughts = [e.thought for e in mc.mission.reads.events(task_id=task_id)]
        assert "I live" in thoughts
        assert not any("done" in thought for thought in thoughts)


async def test_the_next_attempt_has_a_token_of_its_own(open_home: Open) -> None:
    runner = busy()
    async with open_home(runner) as mc:
        project_id = await crew(mc, "shuri")
        task_id = await work(mc, project_id, "shuri")
        await until(mc, lambda: len(runner.orders) == 1 and bool(runner.running))
        await mc.call("mission.agent.kill", instance_id="shuri:p")
        await until(mc, lambda: len(runner.orders) == 2 and bool(runner.running))
        first, second = runner.orders
        assert first.token != second.token
        moved = call("mission.task.move", task_id=task_id, new_status="done")
        assert (await post(mc, moved, first.token)).status == 401
        assert (await post(mc, moved, second.token)).json["result"]["task"]["status"] == 2


async def test_a_connection_of_an_agent_is_told_of_its_own_project_only(open_home: Open) -> None:
    async with (
        at_work(open_home) as shift,
        websocket(shift.mc, token=shift.token["shuri:p"]) as wire,
    ):
        assert refusal(await wire.ask(call("mission.subscribe", project_id="q"))) == "forbidden"
        await wire.result("mission.subscribe")
        await shift.mc.call("mission.task.create", project_id="q", title="not for you")
        await shift.mc.call("mission.task.create", project_id="p", title="for you")
        event = await wire.receive()
        assert event["params"]["project_id"] == "p"
        assert event["params"]["record"]["title"] == "for you"


async def test_tokens_are_in_no_answer_and_no_log(
    open_home: Open, caplog: pytest.LogCaptureFixture
) -> None:
    async with at_work(open_home) as shift:
        mc = shift.mc
        methods = ("mission.system.tree", "mission.system.status", "mission.agent.list")
        texts = [
            caplog.text,
            (await post(mc, call("mission.nope"), "wrong")).text,
            (await post(mc, call("mission.agent.get_state", instance_id="shuri:p"))).text,
            *[(await post(mc, call(method))).text for method in methods],
            *[
                path.read_bytes().decode("latin-1")
                for path in mc.mission.home.path.rglob("*")
                if path.is_file() and path != mc.mission.home.token
            ],
        ]
        for token in (mc.token, *shift.token.values()):
            assert not any(token in text for text in texts)
