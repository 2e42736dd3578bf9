"""The feed of events, as clients see it: everything, in order, once."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
import trio
from trio_websocket import ConnectionClosed
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request, TextMessage

import mission_control
from mission_control import Config, MissionControl
from mission_control.actors import FEED, Home, trim_log
from mission_control.config import ListenSettings
from mission_control.gateway_bridge import connect
from mission_control.gateway_bridge._wire import PUBLISHED
from mission_control.storage import STORAGE, ManualClock, Unavailable
from mission_control.storage.commands import TrimLog
from mission_control.storage.history import archive_log
from rig import FAST, PATIENCE_S, Open, crew
from system_doors import Wire, call, idle, websocket

FEED_BUFFER = "mission_control.actors._fanout.BUFFER"
FEED_PAGE = "mission_control.actors._fanout.PAGE"
TAKE_WITHIN_S = "mission_control.gateway_bridge._server.TAKE_WITHIN_S"


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
    open_home: Open,
) -> None:
    async with open_home(idle()) as mc:
        project_id = await crew(mc)
        await make(mc, project_id, 6)
        epoch, newest = mc.mission.reads.epoch(), mc.mission.reads.last_seq()
        trimmed = await trim(mc, newest - 10)
        now = f"{epoch}.{newest}"
        for since in (f"abc.{newest}", f"{epoch}.{newest + 1000}", f"{epoch}.{newest - 11}"):
            async with websocket(mc) as wire:
                answer = await wire.result("mission.subscribe", since=since)
                assert (since, answer) == (since, {"cursor": now, "resync": True})
                await make(mc, project_id, 1)
                assert await told(wire, 2) == published(mc, now)
                now = f"{epoch}.{mc.mission.reads.last_seq()}"
        async with websocket(mc) as wire:
            since = f"{epoch}.{newest - 10}"
            answer = await wire.result("mission.subscribe", since=since)
            assert answer == {"cursor": since, "resync": False}
            assert (await told(wire, 1))[0] > newest - 10
        assert trimmed == newest - 10


async def test_every_snapshot_names_the_cursor_that_it_was_taken_at(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        project_id = await crew(mc, "shuri")
        await make(mc, project_id, 2)
        now = str(mc.mission.reads.cursor())
        for method, params in {
            "mission.project.list": {},
            "mission.project.get": {"project_id": project_id},
            "mission.task.list": {"project_id": project_id},
            "mission.agent.list": {"project_id": project_id},
            "mission.help.list": {"project_id": project_id},
            "mission.event.list": {"project_id": project_id},
            "mission.system.status": {},
        }.items():
            answer = await mc.call(method, **params)
            assert (method, answer["cursor"]) == (method, now)


async def test_a_client_that_is_far_behind_is_told_page_by_page(
    open_home: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FEED_PAGE, 7)
    async with open_home(idle()) as mc:
        start = str(mc.mission.reads.cursor())
        project_id = await crew(mc)
        await make(mc, project_id, 60)
        async with websocket(mc) as wire:
            assert (await wire.result("mission.subscribe", since=start))["resync"] is False
            await make(mc, project_id, 3)
            expected = published(mc, start)
            assert await told(wire, len(expected)) == expected


@pytest.mark.parametrize(("victim", "kills"), [(FEED, 8), (STORAGE, 3)])
async def test_clients_notice_nothing_of_a_part_that_is_killed_and_started_again(
    open_home: Open, victim: str, kills: int
) -> None:
    """Their connections live on, and what they are told has neither gap nor repetition."""
    found: list[list[int]] = []

    async def run(task_status: trio.TaskStatus[None]) -> None:
        async with websocket(mc) as wire:
            await wire.result("mission.subscribe", since=start)
            task_status.started()
            numbers: list[int] = []
            while len(numbers) < kills * 10:
                numbers += await told(wire, 1)
            found.append(numbers)

    async with open_home(idle()) as mc:
        project_id = await crew(mc)
        start = str(mc.mission.reads.cursor())
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                await nursery.start(run)
            part = mc.mission.find(victim)
            for number in range(kills):
                part.kill()
                await make_at_last(mc, project_id, f"round {number}", 5)
        assert found == [published(mc, start)] * 5


async def make_at_last(mc: MissionControl, project_id: str, name: str, count: int) -> None:
    """Make cards, again and again where storage is away: the key keeps them from doubling."""
    for number in range(count):
        with trio.fail_after(60):
            while True:
                try:
                    await mc.call(
                        "mission.task.create",
                        project_id=project_id,
                        title=f"{name} {number}",
                        idempotency_key=f"{name} {number}",
                    )
                    break
                except Unavailable:
                    await trio.lowlevel.checkpoint()


# The old part of the log, and the past.


async def trim(mc: MissionControl, up_to: int) -> int:
    """Put the changes up to a number into the archive, however young they are."""
    home = mc.mission.home
    segment = archive_log(home.database, home.changes, before_us=1 << 62, up_to=up_to)
    assert segment is not None
    while await mc.mission.store.write(TrimLog(segment), by="test"):
        pass
    return segment.last


async def test_old_changes_go_to_the_archive_once_everybody_was_told(tmp_path: Path) -> None:
    clock = ManualClock()
    config = Config(listen=ListenSettings(port=0), pulse=FAST)
    home = tmp_path / "home"
    async with mission_control.open(home, config, clock=clock, runner=idle()) as mc:
        project_id = await crew(mc)
        await make(mc, project_id, 5)
        old = mc.mission.reads.last_seq()
        clock.advance(31 * 86_400)
        assert await trim_log(mc.mission, keep_days=0) == 0
        assert await trim_log(mc.mission, keep_days=32) == 0
        await make(mc, project_id, 1)
        async with await mc.subscribe(after=3) as slow:
            assert await trim_log(mc.mission, keep_days=30) == 3
            async for change in slow:
                if change.seq == old:
                    break
            assert await trim_log(mc.mission, keep_days=30) == old - 3
        assert mc.mission.reads.changes(0)[0].seq == old + 1
        assert [path.name[:12] for path in sorted(home.rglob("*.jsonl.gz"))] == [
            f"{1:012}",
            f"{4:012}",
        ]


@attrs.frozen
class SlowHome(Home):
    """A home whose archive is found only when the test says so."""

    asked: threading.Event
    go_on: threading.Event

    @property
    def changes(self) -> Path:
        self.asked.set()
        self.go_on.wait(60)
        return super().changes


async def test_who_comes_while_the_archive_is_written_is_told_all_before_it_is_trimmed(
    open_home: Open,
) -> None:
    trimmed: list[int] = []
    done = trio.Event()
    async with open_home(idle()) as mc, trio.open_nursery() as nursery:
        project_id = await crew(mc)
        await make(mc, project_id, 5)
        home = SlowHome(mc.mission.home.path, threading.Event(), threading.Event())
        clock = ManualClock(mc.mission.clock.now_us())
        clock.advance(31 * 86_400)
        mission = attrs.evolve(mc.mission, home=home, clock=clock)

        async def archive() -> None:
            trimmed.append(await trim_log(mission, keep_days=30))
            done.set()

        nursery.start_soon(archive)
        await trio.to_thread.run_sync(home.asked.wait, 60)
        async with await mc.subscribe(after=3) as late:
            home.go_on.set()
            with trio.fail_after(PATIENCE_S):
                await done.wait()
            assert trimmed == [0]
            assert (await late.__anext__()).seq == 4


async def test_a_board_is_shown_as_it_was_archive_or_not(open_home: Open) -> None:
    async with open_home(idle()) as mc:
        project_id = await crew(mc, "shuri")

        async def board(**params: object) -> dict[str, Any]:
            answer = await mc.call("mission.task.list", project_id=project_id, limit=3, **params)
            assert isinstance(answer, dict)
            return answer

        boards = []
        await make(mc, project_id, 5)
        for card in (await board())["tasks"]:
            boards.append(await board())
            await mc.call("mission.task.update", task_id=card["id"], title="new", labels=["x", "é"])
            await mc.call("mission.task.move", task_id=card["id"], new_status="done")
        boards.append(await board())
        await mc.call("mission.task.delete", task_id=boards[0]["tasks"][0]["id"])
        assert [await board(at=seen["cursor"]) for seen in boards] == boards
        await trim(mc, seq(boards[1]["cursor"]))
        assert [await board(at=seen["cursor"]) for seen in boards] == boards
        # What filters and pages do to the present, they do to the past.
        seen = boards[-1]
        assert seen["next"] is not None
        rest = await board(at=seen["cursor"], after=seen["next"])
        done = await board(at=seen["cursor"], status="done", label="é", text="NEW")
        assert (len(rest["tasks"]), rest["next"], len(done["tasks"])) == (2, None, 3)
        assert (await board(at=seen["cursor"], assignee_id="shuri"))["tasks"] == []


@pytest.mark.parametrize(
    ("at", "kind", "words"),
    [
        ("2000-01-01", "not_found", "there was no project 'p' at 2000-01-01T00:00:00Z: it began"),
        ("-1h", "not_found", "there was no project 'p'"),
        ("9999-01-01", "invalid", "must not be in the future"),
        ("abc.1", "conflict", "of another history"),
        ("last year", "invalid", "must be a time such as"),
        (7, "invalid", "must be a string"),
    ],
)
async def test_a_time_that_cannot_be_shown_is_refused_with_the_reason(
    open_home: Open, at: object, kind: str, words: str
) -> None:
    async with open_home(idle()) as mc, websocket(mc) as wire:
        project_id = await crew(mc)
        answer = await wire.ask(call("mission.task.list", project_id=project_id, at=at))
        assert answer["error"]["data"]["kind"] == kind
        assert answer["error"]["data"]["field"] == "at"
        assert words in answer["error"]["message"]


@pytest.mark.parametrize(
    "since", ["", "x", "1", "abc.", ".1", "abc.-1", "abc.²", "abc." + "9" * 5000]
)
async def test_what_is_no_cursor_is_refused_and_the_conversation_goes_on(
    open_home: Open, since: str
) -> None:
    async with open_home(idle()) as mc, websocket(mc) as wire:
        error = (await wire.ask(call("mission.subscribe", since=since)))["error"]
        assert (error["code"], error["data"]["field"]) == (-32602, "since")
        assert (await wire.result("mission.project.list"))["projects"] == []


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


async def test_a_client_that_sets_its_scope_hears_of_that_instead(open_home: Open) -> None:
    async with open_home(idle()) as mc, websocket(mc) as wire:
        for name in ("P", "Q"):
            await mc.call("mission.project.init", project_name=name)
        await wire.result("mission.subscribe")
        since = (await wire.result("mission.subscribe", project_id="p"))["cursor"]
        for project_id in ("p", "q", "p"):
            await mc.call("mission.task.create", project_id=project_id, title=project_id)
        answer = call("mission.scope.set", project_id="q", since=since)
        await wire.send(answer)
        while (told := await wire.receive()).get("id") != answer["id"]:
            assert told["method"] in ("mission.task_updated", "mission.thought_logged")
        assert told["result"]["resync"] is False
        heard = [await wire.receive() for _ in range(2)]
        assert [each["params"]["project_id"] for each in heard] == ["q", "q"]
        await mc.call("mission.task.create", project_id="p", title="unheard")
        await mc.call("mission.task.create", project_id="q", title="heard")
        heard = [await wire.receive() for _ in range(2)]
        assert [each["params"]["project_id"] for each in heard] == ["q", "q"]
        wrong = await wire.ask(call("mission.scope.set", project_id="nope"))
        assert wrong["error"]["data"]["kind"] == "not_found"
        await mc.call("mission.task.create", project_id="q", title="still heard")
        assert (await wire.receive())["params"]["project_id"] == "q"


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
            with trio.fail_after(PATIENCE_S), suppress(trio.BrokenResourceError):
                while await stream.receive_some():
                    pass


async def test_a_client_that_does_not_read_does_not_hold_up_the_end(open_home: Open) -> None:
    with trio.fail_after(PATIENCE_S):
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
            for number in range(40):
                nursery.start_soon(one, number)
        assert "## Done (40)" in kanban.read_text()


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
            while len(seen) <= 10:
                await make(mc, project_id, 10)
            nursery.cancel_scope.cancel()


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
