"""JSON-RPC 2.0 as the sidecar speaks it, over WebSocket and POST."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import attrs
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mission_control import MissionControl, MissionError
from mission_control.gateway_bridge import METHODS, OPERATOR, connect
from mission_control.storage import NotFound, Unauthenticated, from_wire
from mission_control.supervisor import TreeNode
from rig import Open, crew, until
from system_doors import UPGRADE, call, http, idle, post, tcp, websocket

DOORS = ["post", "websocket"]


async def through(door: str, mc: MissionControl, value: object) -> Any:
    """Send *value* through one of the doors, and return the answer."""
    if door == "post":
        return (await post(mc, value)).json
    async with websocket(mc) as wire:
        return await wire.ask(value)


def code(answer: Any) -> int:
    return int(answer["error"]["code"])


@pytest.mark.parametrize("door", DOORS)
async def test_a_call_is_answered_with_its_id(open_home: Open, door: str) -> None:
    async with open_home(idle()) as mc:
        for id_ in (7, "seven", 7.5):
            question = call("mission.project.list") | {"id": id_}
            answer = await through(door, mc, question)
            result = {"projects": [], "cursor": str(mc.mission.reads.cursor())}
            assert answer == {"jsonrpc": "2.0", "id": id_, "result": result}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff\xfe\xfd", -32700),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "mission.project.list", "x": NaN}', -32700),
        (b"[" * 100_000, -32700),
        (b"1" * 10_000, -32700),
        (b"17", -32600),
        (b"[]", -32600),
        (b'{"id": 1, "method": "mission.project.list"}', -32600),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "mission.project.list"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1}', -32600),
        (b'{"jsonrpc": "2.0", "id": [1], "method": "mission.project.list"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "mission.nope"}', -32601),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "mission.project.list", "params": []}', -32602),
    ],
)
async def test_what_is_no_call_is_answered_with_the_code_of_the_standard(
    open_home: Open, door: str, text: bytes, expected: int
) -> None:
    async with open_home(idle()) as mc:
        assert code(await through(door, mc, text)) == expected


@pytest.mark.parametrize("door", DOORS)
async def test_a_batch_is_answered_by_one_array_without_its_notifications(
    open_home: Open, door: str
) -> None:
    async with open_home(idle()) as mc:
        notification = call("mission.project.init", project_name="Quiet")
        del notification["id"]
        first, second = call("mission.project.list"), call("mission.nope")
        answers = await through(door, mc, [notification, first, 17, second])
        assert [answer["id"] for answer in answers] == [first["id"], None, second["id"]]
        assert answers[0]["result"]["projects"][0]["name"] == "Quiet"
        assert [code(answer) for answer in answers[1:]] == [-32600, -32601]


async def test_notifications_are_carried_out_and_answered_with_nothing(open_home: Open) -> None:
    async with open_home(idle()) as mc, websocket(mc) as wire:
        notifications = [call("mission.project.init", project_name=name) for name in "ABCD"]
        for notification in notifications:
            del notification["id"]
        one, two, three, four = notifications
        assert (await post(mc, one)).status == (await post(mc, [two])).status == 204
        await wire.send(three)
        await wire.send([four])
        await until(mc, lambda: len(mc.mission.reads.projects()) == 4)
        last = call("mission.nope")
        assert (await wire.ask(last))["id"] == last["id"]


async def test_a_frame_of_bytes_is_as_good_as_one_of_text(open_home: Open) -> None:
    async with open_home(idle()) as mc, websocket(mc) as wire:
        answer = await wire.ask(json.dumps(call("mission.project.list")).encode())
        assert answer["result"]["projects"] == []


async def test_a_conversation_survives_every_malformed_text(open_home: Open) -> None:
    async with open_home(idle()) as mc, websocket(mc) as wire:
        for text in ("", "{", "[]", "null", '"x"', "\ud7ff", '{"jsonrpc":"2.0","id":1}', b"\xff"):
            assert "error" in await wire.ask(text)
        assert (await wire.result("mission.project.list"))["projects"] == []


async def test_every_refusal_has_its_code_its_kind_and_says_what_to_do(open_home: Open) -> None:
    async with open_home(idle()) as mc, websocket(mc) as wire:
        project_id = await crew(mc, "shuri")
        created = call("mission.task.create", project_id=project_id, title="t")
        task_id = (await wire.ask(created))["result"]["task_id"]

        async def refused(method: str, **params: object) -> tuple[int, dict[str, Any]]:
            error = (await wire.ask(call(method, **params)))["error"]
            assert error["message"]
            return error["code"], error["data"]

        number, data = await refused("mission.task.move", task_id=task_id, new_status="ready")
        assert (number, data["kind"], data["field"]) == (-32602, "invalid", "new_status")
        number, data = await refused("mission.task.move", task_id=task_id)
        assert (number, data["kind"], data["field"]) == (-32602, "invalid", "new_status")
        number, data = await refused("mission.task.get", task_id=task_id, wat=1)
        assert (number, data["kind"], data["field"]) == (-32602, "invalid", "wat")
        number, data = await refused("mission.task.get", task_id="nope")
        assert (number, data) == (
            -32004,
            {"kind": "not_found", "retryable": False, "task_id": "nope"},
        )
        number, data = await refused(
            "mission.task.move", task_id=task_id, new_status=2, expected_version=9
        )
        assert (number, data["kind"], data["version"]) == (-32009, "conflict", 1)
        assert data["status"] == "backlog"


async def test_a_host_that_is_away_is_unavailable_and_readyz_says_why(open_home: Open) -> None:
    runner = idle()
    runner.away = "the Gateway is away"
    async with open_home(runner) as mc:
        ready = await http(mc, "GET /readyz")
        assert ready.status == 503
        assert ready.json == {"ready": False, "reasons": ["the Gateway is away"]}
        assert (await http(mc, "GET /healthz")).status == 200
        runner.away = None
        assert (await http(mc, "GET /readyz")).json == {"ready": True, "reasons": []}


UNKNOWN: list[tuple[str, dict[str, Any]]] = [
    ("mission.project.get", {"project_id": "?"}),
    ("mission.project.rename", {"project_id": "?", "project_name": "x"}),
    ("mission.project.archive", {"project_id": "?"}),
    ("mission.project.restore", {"project_id": "?"}),
    ("mission.project.init", {"project_name": "x", "base_id": "?"}),
    ("mission.task.create", {"project_id": "?", "title": "x"}),
    ("mission.task.create", {"project_id": "p", "title": "x", "assignee_id": "?"}),
    ("mission.task.create", {"project_id": "p", "title": "x", "depends_on": ["?"]}),
    ("mission.task.list", {"project_id": "?"}),
    ("mission.task.get", {"task_id": "?"}),
    ("mission.task.move", {"task_id": "?", "new_status": "done"}),
    ("mission.task.update", {"task_id": "?", "title": "x"}),
    ("mission.task.assign", {"task_id": "?"}),
    ("mission.task.delete", {"task_id": "?"}),
    ("mission.task.why", {"task_id": "?"}),
    ("mission.agent.create", {"instance_id": "shuri:unknown"}),
    ("mission.agent.destroy", {"instance_id": "?"}),
    ("mission.agent.list", {"project_id": "?"}),
    ("mission.agent.get_state", {"instance_id": "?"}),
    ("mission.agent.set_state", {"instance_id": "?", "status": "idle"}),
    ("mission.agent.sync", {"instance_id": "?", "status": "idle"}),
    ("mission.agent.pause", {"instance_id": "?"}),
    ("mission.agent.resume", {"instance_id": "?"}),
    ("mission.agent.trigger", {"instance_id": "?"}),
    ("mission.agent.kill", {"instance_id": "?"}),
    ("mission.agent.message", {"instance_id": "?", "text": "x"}),
    ("mission.agent.import", {"names": ["?"]}),
    ("mission.session.list", {"project_id": "?"}),
    ("mission.session.status", {"instance_id": "?"}),
    ("mission.session.create", {"instance_id": "?"}),
    ("mission.session.restart", {"instance_id": "?"}),
    ("mission.session.destroy", {"instance_id": "?"}),
    ("mission.session.inject", {"instance_id": "?", "text": "x"}),
    ("mission.session.logs", {"instance_id": "?"}),
    ("mission.control.log_event", {"task_id": "?", "thought": "x"}),
    ("mission.control.log", {"task_id": "?", "thought": "x"}),
    ("mission.control.request_help", {"task_id": "?", "issue": "x"}),
    ("mission.control.block", {"task_id": "?", "issue": "x"}),
    ("mission.control.distill_memory", {"agent_id": "?", "summary": "x"}),
    ("mission.control.distill", {"agent_id": "?", "summary": "x"}),
    ("mission.control.update_chronicle", {"project_id": "?", "summary": "x"}),
    ("mission.help.list", {"project_id": "?"}),
    ("mission.help.answer", {"help_id": "?", "answer": "x"}),
    ("mission.event.list", {"task_id": "?"}),
    ("mission.event.list", {"project_id": "?"}),
    ("mission.agent.upgrade", {"instance_id": "?", "soul_text": "x"}),
    ("mission.file.append", {"project_id": "nowhere", "path": "src/a", "content": "x"}),
    ("mission.file.delete", {"project_id": "nowhere", "path": "src/a"}),
    ("mission.file.edit", {"project_id": "nowhere", "path": "src/a", "old": "x", "new": "y"}),
    ("mission.file.exists", {"project_id": "nowhere", "path": "src/a"}),
    ("mission.file.list", {"project_id": "nowhere"}),
    ("mission.file.mkdir", {"project_id": "nowhere", "path": "src/a"}),
    ("mission.file.move", {"project_id": "nowhere", "path": "src/a", "target": "src/b"}),
    ("mission.file.read", {"project_id": "nowhere", "path": "src/a"}),
    ("mission.file.search", {"project_id": "nowhere", "text": "x"}),
    ("mission.file.stat", {"project_id": "nowhere", "path": "src/a"}),
    ("mission.file.write", {"project_id": "nowhere", "path": "src/a", "content": "x"}),
    ("mission.lock.list", {"project_id": "?"}),
    ("mission.project.budget", {"project_id": "?"}),
    ("mission.project.delete", {"project_id": "?"}),
    ("mission.project.why", {"project_id": "?"}),
    ("mission.pulse.get", {"pulse_id": "?"}),
    ("mission.pulse.kill", {"instance_id": "?"}),
    ("mission.pulse.list", {"project_id": "?"}),
    ("mission.pulse.pause", {"instance_id": "?"}),
    ("mission.pulse.restart", {"instance_id": "?"}),
    ("mission.pulse.resume", {"instance_id": "?"}),
    ("mission.pulse.schedule", {"instance_id": "?", "interval_s": 60}),
    ("mission.pulse.set_template", {"project_id": "?", "template": "x"}),
    ("mission.pulse.template", {"project_id": "?"}),
    ("mission.pulse.trigger", {"instance_id": "?"}),
    ("mission.task.hand_off", {"task_id": "?", "to": "shuri", "note": "x"}),
    ("mission.token.rotate", {"name": "?"}),
    ("mission.token.revoke", {"name": "?"}),
]
"""Each method that names something, naming what is not there."""

NAMES_NOTHING = {
    "mission.project.list",
    "mission.system.health",
    "mission.system.status",
    "mission.system.tree",
    "mission.token.create",
    "mission.token.list",
}


async def test_every_method_says_not_found_to_an_unknown_name(open_home: Open) -> None:
    assert {method for method, _ in UNKNOWN} | NAMES_NOTHING == set(METHODS)
    async with open_home(idle()) as mc, websocket(mc) as wire:
        await crew(mc)
        before = mc.mission.reads.last_seq()
        for method, params in UNKNOWN:
            error = (await wire.ask(call(method, **params)))["error"]
            assert (method, error["code"], error["data"]["kind"]) == (method, -32004, "not_found")
        assert mc.mission.reads.last_seq() == before
        assert not (mc.mission.home.path / "souls").exists()


NAMES = st.sampled_from(["<task>", "<project>", "<agent>", "shuri", "<help>"])
JUNK = st.one_of(
    NAMES,
    NAMES,
    st.none(),
    st.booleans(),
    st.integers(-2, 6),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["", "done", "idle", "working", "2026-11-22T18:00:00Z", "<long>", "\0"]),
    st.lists(NAMES | st.integers() | st.none(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
)


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    method = draw(st.sampled_from(sorted(METHODS)))
    fields = [field.name for field in attrs.fields(METHODS[method].params)]
    names = st.sampled_from([*fields, "idempotency_key", "unknown"])
    usual = {name: draw(JUNK) for name in fields if draw(st.integers(0, 4))}
    return method, usual | draw(st.dictionaries(names, JUNK, max_size=1))


def with_names(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [with_names(each, names) for each in value]
    return names.get(value, value) if isinstance(value, str) else value


def restarted(node: TreeNode) -> Iterator[TreeNode]:
    """Yield the actors that a call has made crash; an agent may be ended by being killed."""
    if node.restarts and node.kind == "worker" and node.id not in ("pulse", "session"):
        yield node
    for child in node.children:
        yield from restarted(child)


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(script=st.lists(calls(), min_size=20, max_size=60))
async def test_no_parameters_whatever_are_answered_with_an_internal_error(
    open_home: Open, script: list[tuple[str, dict[str, Any]]]
) -> None:
    async with open_home(idle()) as mc, websocket(mc) as wire:
        project_id = await crew(mc, "shuri", project="Fuzz")
        task = await wire.result(
            "mission.task.create", project_id=project_id, title="t", assignee_id="shuri"
        )
        asked = await wire.result(
            "mission.control.request_help", task_id=task["task_id"], issue="why?"
        )
        names = {
            "<task>": task["task_id"],
            "<project>": project_id,
            "<agent>": f"shuri:{project_id}",
            "<help>": asked["help_id"],
            "<long>": "x" * 30_000,
        }
        for method, params in script:
            given_ = {name: with_names(value, names) for name, value in params.items()}
            answer = await wire.ask(call(method, **given_))
            if "error" in answer:
                refusal = from_wire(answer["error"])
                assert refusal.kind != "internal", (method, given_, answer)
                assert answer["error"]["data"]["kind"] == refusal.kind
        assert list(restarted(mc.tree())) == []


async def test_the_same_key_and_parameters_have_one_effect_and_the_same_answer(
    open_home: Open,
) -> None:
    async with open_home(idle()) as mc:
        project_id = await crew(mc)
        params = {"project_id": project_id, "title": "once", "idempotency_key": "k"}
        first = (await post(mc, call("mission.task.create", **params))).json["result"]
        async with websocket(mc) as wire:
            assert await wire.result("mission.task.create", **params) == first
            other = await wire.ask(call("mission.task.create", **(params | {"title": "twice"})))
            moved = await wire.ask(
                call("mission.task.delete", task_id=first["task_id"], idempotency_key="k")
            )
        assert code(other) == code(moved) == -32009
        assert other["error"]["data"]["field"] == "idempotency_key"
        assert len(mc.mission.reads.board(project_id)) == 1


async def test_a_key_outlives_the_sidecar(open_home: Open) -> None:
    params = {"project_name": "Once", "idempotency_key": "k"}
    async with open_home(idle()) as mc:
        first = (await post(mc, call("mission.project.init", **params))).json["result"]
    async with open_home(idle()) as mc:
        again = (await post(mc, call("mission.project.init", **params))).json["result"]
        assert again == first
        assert len(mc.mission.reads.projects()) == 1


async def test_a_key_belongs_to_its_caller(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        params = {"project_name": "Same", "idempotency_key": "k"}
        ours = await mc.call("mission.project.init", **params)
        theirs = (await post(mc, call("mission.project.init", **params))).json["result"]
        assert {ours["project_id"], theirs["project_id"]} == {"same", "same-2"}
        assert OPERATOR.name != "local"


@pytest.mark.parametrize("key", ["", "x" * 201, 17, ["k"], {"k": 1}])
async def test_an_odd_key_is_refused_before_anything_happens(open_home: Open, key: object) -> None:
    async with open_home(idle()) as mc:
        question = call("mission.project.init", project_name="P", idempotency_key=key)
        answer = (await post(mc, question)).json
        assert (code(answer), answer["error"]["data"]["field"]) == (-32602, "idempotency_key")
        assert mc.mission.reads.projects() == []


async def test_calls_on_one_connection_run_side_by_side(open_home: Open) -> None:
    async with open_home(idle()) as mc, connect(f"ws{mc.url[4:]}/rpc", mc.token) as client:
        project_id = await crew(mc)
        answers: list[dict[str, Any]] = []

        async def create(number: int) -> None:
            answers.append(
                await client.call("mission.task.create", project_id=project_id, title=f"{number}")
            )

        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(create, number)
        assert {a["task"]["title"] for a in answers} == {str(number) for number in range(200)}
        assert len(mc.mission.reads.board(project_id)) == 200


async def test_a_client_that_sends_and_does_not_read_is_answered_when_it_does(
    open_home: Open,
) -> None:
    async with open_home(idle()) as mc, websocket(mc) as wire:
        questions = [call("mission.project.list") for _ in range(300)]
        for question in questions:
            await wire.send(question)
        answered = {(await wire.receive())["id"] for _ in questions}
        assert answered == {question["id"] for question in questions}


async def test_a_client_that_goes_in_mid_call_leaves_whole_changes_and_disturbs_nobody(
    open_home: Open,
) -> None:
    async with open_home(idle()) as mc:
        project_id = await crew(mc)

        async def hit_and_run() -> None:
            async with websocket(mc) as wire:
                for number in range(20):
                    await wire.send(
                        call("mission.task.create", project_id=project_id, title=f"{number}")
                    )
                await wire.socket._stream.aclose()  # as a process that was killed

        async with websocket(mc) as other, trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(hit_and_run)
            for _ in range(20):
                await other.result("mission.task.list", project_id=project_id)
        created = await mc.call("mission.task.create", project_id=project_id, title="after")
        kanban = mc.mission.home.scope(project_id).kanban.read_text()
        assert created["task_id"] in kanban
        for task in mc.mission.reads.board(project_id):
            assert task.id in kanban
            assert [e.kind for e in mc.mission.reads.events(task_id=task.id)] == ["created"]
        assert list(restarted(mc.tree())) == []


@pytest.mark.slow
async def test_many_clients_are_served_side_by_side(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        project_id = await crew(mc)

        async def client(number: int) -> None:
            async with websocket(mc) as wire:
                for step in range(3):
                    title = f"{number}/{step}"
                    created = await wire.result(
                        "mission.task.create", project_id=project_id, title=title
                    )
                    task_id = created["task_id"]
                    seen = await wire.result("mission.task.get", task_id=task_id)
                    assert seen["task"]["title"] == title

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(client, number)
        assert len(mc.mission.reads.board(project_id)) == 150


async def test_a_body_over_4_mib_is_refused_and_one_below_is_read(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        project_id = await crew(mc)
        for size, status in ((3 * 2**20, 200), (4 * 2**20, 413)):
            question = call(
                "mission.task.create", project_id=project_id, title="big", description="x" * size
            )
            assert (await post(mc, question)).status == status
        assert len(mc.mission.reads.board(project_id)) == 1


async def test_a_message_over_4_mib_ends_its_connection_with_the_code_for_that(
    open_home: Open,
) -> None:
    async with open_home(idle()) as mc, websocket(mc) as wire:
        await wire.send(" " * (4 * 2**20 + 1))
        assert await wire.closed() == 1009


async def test_what_is_no_http_and_no_websocket_ends_its_own_connection_only(
    open_home: Open,
) -> None:
    async with open_home(idle()) as mc, websocket(mc) as witness:
        bearer = f"Bearer {mc.token}"
        upgrade = await http(mc, "GET /bridge", b"", **UPGRADE)  # and no subprotocol
        assert upgrade.status == 400
        for frame in (b"\x83\x80abcd", b"\x81\x05hello", b"\x81\x82abcd\x9d\x9d", b"\xff" * 99):
            # With the request, before the answer to it.
            await http(mc, "GET /rpc", frame, Authorization=bearer, **UPGRADE)
            async with websocket(mc) as wire:
                await wire.socket._stream.send_all(frame)
                assert await wire.closed() != 1000
        for garbage in (b"garbage\r\n\r\n", b"\x16\x03\x01" * 50, b"PRI * HTTP/2.0\r\n\r\n" * 9):
            async with await tcp(mc) as stream:
                await stream.send_all(garbage)
                await stream.send_eof()
                while await stream.receive_some():
                    pass
        assert (await witness.result("mission.project.list"))["projects"] == []
        assert list(restarted(mc.tree())) == []


async def test_subscribing_needs_a_websocket_and_a_message_of_its_own(open_home: Open) -> None:
    async with open_home(idle()) as mc, websocket(mc) as wire:
        subscribe = call("mission.subscribe")
        assert code((await post(mc, subscribe)).json) == -32600
        listed = call("mission.project.list")
        first, second = await wire.ask([subscribe, listed])
        assert code(first) == -32600
        assert (second["id"], second["result"]["projects"]) == (listed["id"], [])


async def test_the_client_raises_what_the_sidecar_answered(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        with pytest.raises(NotFound, match="there is no task 'nope'") as caught:
            async with connect(f"ws{mc.url[4:]}/rpc", mc.token) as client:
                await client.call("mission.task.get", task_id="nope")
        assert caught.value.details == {"task_id": "nope"}
        with pytest.raises(MissionError, match="there is no method"):
            async with connect(f"ws{mc.url[4:]}/rpc", mc.token) as client:
                await client.call("mission.nope")


async def test_the_client_says_so_when_the_connection_is_lost(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        url, token = f"ws{mc.url[4:]}/rpc", mc.token
        async with connect(url, token) as client:
            listener = next(child for child in mc.tree().children if child.id == "listener")
            assert listener.state == "running"
            await client._connection._stream.aclose()
            with pytest.raises(MissionError, match="the connection to the sidecar was lost"):
                await client.call("mission.project.list")
            assert [event async for event in client.events] == []
    with pytest.raises(MissionError, match="no sidecar answers"):
        async with connect(url, token):
            pass
    with pytest.raises(MissionError, match="no address of a sidecar"):
        async with connect("127.0.0.1:x", token):
            pass


async def test_the_client_gives_up_on_who_hangs_up_and_leaks_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mission_control.gateway_bridge._client.CONNECT_WITHIN_S", 0.2)

    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, hang_up, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        with pytest.raises(MissionError, match="no sidecar answers"):
            async with connect(f"ws://127.0.0.1:{port}/rpc", "token"):
                pass
        nursery.cancel_scope.cancel()


async def test_the_client_raises_what_it_was_refused_with(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        with pytest.raises(Unauthenticated, match=r"the content of mission-control\.token"):
            async with connect(f"ws{mc.url[4:]}/rpc", "wrong"):
                pass
        with pytest.raises(MissionError, match="answered HTTP 403: is that a sidecar"):
            async with connect(f"ws{mc.url[4:]}/nope", mc.token):
                pass
