"""The feed of events, as clients see it: everything, in order, once."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
import trio
from trio_websocket import ConnectionClosed
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request, TextMessage

from mission_control import MissionControl
from mission_control.gateway_bridge import connect
from mission_control.gateway_bridge._wire import PUBLISHED
from rig import Open, crew
from system_doors import Wire, call, idle, websocket

FEED_BUFFER = "mission_control.actors._feed.BUFFER"
TAKE_WITHIN_S = "mission_control.gateway_bridge._server.TAKE_WITHIN_S"
MAX_REPLAY = "mission_control.gateway_bridge._rpc.MAX_REPLAY"


def seq(cursor: str) -> int:
    return int(cursor.rpartition(".")[2])


def published(mc: MissionControl, after: str, project_id: str | None = None) -> list[int]:
    """Return what clients are to be told of after a cursor, as the log has it."""
    found, last = [], seq(after)
    while page := mc.mission.reads.changes(last):
        last = page[-1].seq
        found += [
            change.seq
            for change in page
            if change.kind in PUBLISHED and project_id in (None, change.project_id)
        ]
    return found


async def told(wire: Wire, count: int) -> list[int]:
    """Receive *count* events; return their numbers."""
    return [seq((await wire.receive())["params"]["cursor"]) for _ in range(count)]


async def make(mc: MissionControl, project_id: str, count: int, description: str = "") -> None:
    for number in range(count):
        await mc.call(
            "mission.task.create",
            project_id=project_id,
            title=f"{number}",
            description=description,
        )


async def test_a_subscriber_is_told_of_every_change_once_and_in_order(open_home: Open) -> None:
    async with open_home(idle()) as mc, websocket(mc) as wire:
        project_id = await crew(mc, "shuri")
        begun = await wire.result("mission.subscribe")
        assert begun == {"cursor": begun["cursor"], "resync": False}
        await make(mc, project_id, 20)
        expected = published(mc, begun["cursor"])
        assert len(expected) == 40
        assert await told(wire, 40) == expected


async def test_an_event_shows_its_record_as_answers_do(open_home: Open) -> None:
    async with open_home(idle()) as mc, websocket(mc) as wire:
        project_id = await crew(mc)
        await wire.result("mission.subscribe")
        answer = await mc.call(
            "mission.task.create", project_id=project_id, title="t", labels=["a", "b"]
        )
        event = await wire.receive()
        assert event["method"] == "mission.task_updated"
        assert "id" not in event
        params = event["params"]
        assert params["record"] | {"depends_on": []} == answer["task"]
        assert params["record"]["labels"] == ["a", "b"]
        assert (params["entity"], params["id"], params["by"], params["project_id"]) == (
            "tasks",
            answer["task_id"],
            "local",
            project_id,
        )
        await mc.call("mission.task.delete", task_id=answer["task_id"])
        methods, records = [], []
        while "mission.task_updated" not in methods:
            event = await wire.receive()
            methods.append(event["method"])
            records.append(event["params"]["record"])
        assert records[-1] is None


async def test_a_client_resumes_after_its_last_cursor_without_loss_or_repetition(
    open_home: Open,
) -> None:
    async with open_home(idle()) as mc:
        project_id = await crew(mc)
        async with websocket(mc) as wire:
            start = (await wire.result("mission.subscribe"))["cursor"]
            await make(mc, project_id, 5)
            first = [await wire.receive() for _ in range(7)]
        await make(mc, project_id, 5)  # while nobody listens
        last = first[-1]["params"]["cursor"]
        async with websocket(mc) as wire:
            again = await wire.result("mission.subscribe", since=last)
            assert again == {"cursor": last, "resync": False}
            await make(mc, project_id, 5)
            everything = published(mc, start)
            numbers = [seq(event["params"]["cursor"]) for event in first]
            assert numbers + await told(wire, len(everything) - 7) == everything


async def test_resuming_while_others_write_repeats_nothing(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        project_id = await crew(mc)
        start = f"{mc.mission.reads.epoch()}.{mc.mission.reads.last_seq()}"

        async def follow() -> list[int]:
            async with websocket(mc) as wire:
                await wire.result("mission.subscribe", since=start)
                return await told(wire, 120)

        found: list[list[int]] = []

        async def keep() -> None:
            found.append(await follow())

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(make, mc, project_id, 3)
                nursery.start_soon(keep)
        assert len(found) == 20
        assert all(numbers == published(mc, start) for numbers in found)


async def test_a_cursor_survives_the_sidecar(open_home: Open) -> None:
    async with open_home(idle()) as mc, websocket(mc) as wire:
        project_id = await crew(mc)
        last = (await wire.result("mission.subscribe"))["cursor"]
        await make(mc, project_id, 1)
    async with open_home(idle()) as mc, websocket(mc) as wire:
        assert (await wire.result("mission.subscribe", since=last))["resync"] is False
        assert await told(wire, 2) == published(mc, last)


async def test_a_place_that_is_not_in_this_history_means_resync(
    open_home: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MAX_REPLAY, 10)
    async with open_home(idle()) as mc:
        project_id = await crew(mc)
        await make(mc, project_id, 6)
        epoch, newest = mc.mission.reads.epoch(), mc.mission.reads.last_seq()
        now = f"{epoch}.{newest}"
        for since in (f"abc.{newest}", f"{epoch}.{newest + 1}", f"{epoch}.{newest - 11}"):
            async with websocket(mc) as wire:
                answer = await wire.result("mission.subscribe", since=since)
                assert (since, answer) == (since, {"cursor": now, "resync": True})
        listed = await mc.call("mission.task.list", project_id=project_id)
        assert listed["cursor"] == now
        async with websocket(mc) as wire:
            answer = await wire.result("mission.subscribe", since=f"{epoch}.{newest - 10}")
            assert answer["resync"] is False


@pytest.mark.parametrize(
    "since", ["", "x", "1", "abc.", ".1", "abc.-1", "abc.²", "abc." + "9" * 5000]
)
async def test_what_is_no_cursor_is_refused_and_the_conversation_goes_on(
    open_home: Open, since: str
) -> None:
    async with open_home(idle()) as mc, websocket(mc) as wire:
        error = (await wire.ask(call("mission.subscribe", since=since)))["error"]
        assert (error["code"], error["data"]["field"]) == (-32602, "since")
        assert await wire.result("mission.project.list") == {"projects": []}


async def test_a_subscription_may_be_of_one_project(open_home: Open) -> None:
    async with open_home(idle()) as mc, websocket(mc) as wire:
        await crew(mc, project="P")
        await crew(mc, project="Q")
        unknown = await wire.ask(call("mission.subscribe", project_id="nope"))
        assert unknown["error"]["data"]["kind"] == "not_found"
        start = (await wire.result("mission.subscribe", project_id="q"))["cursor"]
        await make(mc, "p", 3)
        await make(mc, "q", 3)
        assert await told(wire, 6) == published(mc, start, "q")


async def test_a_notification_to_subscribe_subscribes_and_is_not_answered(open_home: Open) -> None:
    async with open_home(idle()) as mc, websocket(mc) as wire:
        project_id = await crew(mc)
        now = f"{mc.mission.reads.epoch()}.{mc.mission.reads.last_seq()}"
        quiet = call("mission.subscribe", since=now)
        del quiet["id"]
        await wire.send(quiet)
        await make(mc, project_id, 1)
        assert await told(wire, 2) == published(mc, now)


async def narrow(mc: MissionControl) -> trio.SocketStream:
    """Connect through a pipe that holds next to nothing, so that who does not read is noticed."""
    parts = urlsplit(mc.url)
    raw = trio.socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    await raw.connect((parts.hostname, parts.port))
    return trio.SocketStream(raw)


async def subscribe_and_never_read_again(mc: MissionControl) -> trio.SocketStream:
    peer, stream = WSConnection(ConnectionType.CLIENT), await narrow(mc)
    bearer = (b"Authorization", f"Bearer {mc.token}".encode())
    await stream.send_all(
        peer.send(Request(urlsplit(mc.url).netloc, "/rpc", extra_headers=[bearer]))
    )
    while not any(isinstance(event, AcceptConnection) for event in peer.events()):
        peer.receive_data(bytes(await stream.receive_some()))
    await stream.send_all(peer.send(TextMessage(json.dumps(call("mission.subscribe")))))
    return stream


HUGE = "x" * 200_000
"""Of fifty such the kernel's buffers hold but a part."""


async def test_a_slow_client_is_let_go_with_a_code_that_says_so_and_resumes(
    open_home: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FEED_BUFFER, 10)
    async with open_home(idle()) as mc:
        project_id = await crew(mc)
        numbers: list[int] = []
        async with websocket(mc, stream=await narrow(mc)) as slow, websocket(mc) as quick:
            start = (await slow.result("mission.subscribe"))["cursor"]
            await quick.result("mission.subscribe")
            for _ in range(50):
                await make(mc, project_id, 1, HUGE)
                await told(quick, 2)  # nobody else is held up
            with suppress(ConnectionClosed):
                while True:
                    numbers += await told(slow, 1)
            assert slow.socket.closed is not None
            assert slow.socket.closed.code == 4408
            assert "resume" in str(slow.socket.closed.reason)
        assert 0 < len(numbers) < 100
        async with websocket(mc) as wire:
            last = f"{mc.mission.reads.epoch()}.{numbers[-1]}"
            assert (await wire.result("mission.subscribe", since=last))["resync"] is False
            numbers += await told(wire, 100 - len(numbers))
        assert numbers == published(mc, start)


async def test_a_client_that_does_not_read_at_all_is_cut_off(
    open_home: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TAKE_WITHIN_S, 0.2)
    async with open_home(idle()) as mc:
        project_id = await crew(mc)
        async with await subscribe_and_never_read_again(mc) as stream:
            await make(mc, project_id, 40, HUGE)
            with trio.fail_after(10), suppress(trio.BrokenResourceError):
                while await stream.receive_some():
                    pass


async def test_a_client_that_does_not_read_does_not_hold_up_the_end(open_home: Open) -> None:
    with trio.fail_after(8):
        async with open_home(idle()) as mc:
            project_id = await crew(mc)
            stream = await subscribe_and_never_read_again(mc)
            await make(mc, project_id, 40, HUGE)
    await stream.aclose()


async def test_whoever_has_an_answer_finds_it_in_kanban_md(open_home: Open) -> None:
    async with open_home(idle()) as mc, connect(f"ws{mc.url[4:]}/rpc", mc.token) as client:
        project_id = await crew(mc)
        kanban = mc.mission.home.scope(project_id).kanban

        async def one(number: int) -> None:
            answer = await client.call(
                "mission.task.create", project_id=project_id, title=f"card {number}"
            )
            assert f"- [ ] **card {number}**" in kanban.read_text()
            await client.call("mission.task.move", task_id=answer["task_id"], new_status="done")
            assert f"- [x] **card {number}**" in kanban.read_text()

        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(one, number)
        assert "## Done (100)" in kanban.read_text()


async def test_a_reader_never_sees_half_a_file(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        project_id = await crew(mc)
        path = trio.Path(mc.mission.home.scope(project_id).kanban)
        seen: set[int] = set()

        async def watch() -> None:
            while True:
                text = await path.read_text()
                cards = text.count("- [ ]")
                assert text.endswith("\n")
                assert f"## Backlog ({cards})" in text
                seen.add(cards)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await make(mc, project_id, 50)
            nursery.cancel_scope.cancel()
        assert len(seen) > 10


async def test_the_embedding_program_sees_the_same_feed(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        project_id = await crew(mc)
        start = mc.mission.reads.last_seq()
        async with await mc.subscribe() as changes:
            await make(mc, project_id, 2)
            seen: list[Any] = [await changes.__anext__() for _ in range(4)]
        assert [change.seq for change in seen] == list(range(start + 1, start + 5))
        async with await mc.subscribe(after=start) as changes:
            assert await changes.__anext__() == seen[0]
