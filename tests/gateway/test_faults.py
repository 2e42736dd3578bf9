"""The faults of the fake Gateway, each on demand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing

from mission_control.actors import OutcomeKind, Progress, RunHandle
from mission_control.gateway_bridge import (
    Connection,
    GatewayAddress,
    GatewayRefused,
    OpenClawRunner,
    open_connection,
)
from mission_control.gateway_bridge._frames import Event, Settled
from mission_control.storage import Forbidden, Invalid, Limited, Unavailable
from mission_control.testing import CallTool, Fail, FakeGateway, Hang, Refusal, Say, Step, Turn

from .test_link import linked
from .test_runner import HANDLE, ORDER

KEY = "agent:main:mc:p:a"


@asynccontextmanager
async def connected(gateway: FakeGateway) -> AsyncIterator[Connection]:
    address = GatewayAddress(gateway.url, gateway.token)
    async with open_connection(address, lambda _: None) as connection:
        yield connection


async def begin(connection: Connection, run_id: str, session_key: str = KEY) -> None:
    turn = {"message": "Go on.", "sessionKey": session_key, "idempotencyKey": run_id}
    assert (await connection.call("agent", turn))["status"] == "accepted"


async def status(connection: Connection, run_id: str, timeout_ms: int = 20_000) -> str:
    asked = {"runId": run_id, "timeoutMs": timeout_ms}
    return str((await connection.call("agent.wait", asked))["status"])


def hang(_: Turn) -> tuple[Step, ...]:
    return (Hang("Let me think"),)


async def test_a_killed_gateway_forgets_all_but_its_sessions() -> None:
    async with FakeGateway(hang, resume_after_s=3600).serving() as gateway:
        async with connected(gateway) as connection:
            first_life = connection.hello.boot_id
            await begin(connection, "running")
            await begin(connection, "queued")
            await gateway.played(1)
            await gateway.kill()
            with pytest.raises(Unavailable):
                await connection.call("health", {})
        with pytest.raises(Unavailable, match="is it running"):
            async with connected(gateway):
                pass
        await gateway.start()
        async with connected(gateway) as connection:
            assert connection.hello.boot_id != first_life
            assert await status(connection, "running", 10) == "timeout"
            assert (await connection.call("tasks.list", {}))["tasks"] == []
            rows = gateway.transcript(KEY)
            assert [row["idempotencyKey"] for row in rows] == ["running:user"]


async def test_what_was_interrupted_is_resumed_once_and_under_another_name() -> None:
    def think_then_say(turn: Turn) -> tuple[Step, ...]:
        return (Say("Recovered."),) if turn.resumed else (Hang(),)

    async with FakeGateway(think_then_say, resume_after_s=0).serving() as gateway:
        async with connected(gateway) as connection:
            await begin(connection, "first")
            await gateway.played(1)
            await gateway.kill()
        await gateway.start()
        await gateway.played(2)
        async with connected(gateway) as connection:
            resumed = gateway.turns[1]
            assert (resumed.resumed, resumed.message, resumed.system) == (True, "Go on.", "")
            assert resumed.run_id != "first"
            assert await status(connection, resumed.run_id) == "ok"


async def test_a_restart_within_the_process_lets_turns_end_and_takes_no_new_ones() -> None:
    go_on = trio.Event()

    async def wait() -> None:
        await go_on.wait()

    def work(_: Turn) -> tuple[Step, ...]:
        return (CallTool("wait", call=wait), Say("Done."))

    async with FakeGateway(work).serving() as gateway, trio.open_nursery() as nursery:
        async with connected(gateway) as connection:
            await begin(connection, "running")
            await gateway.played(1)
            nursery.start_soon(gateway.restart)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(Unavailable, match="restart"):
                await begin(connection, "late", "another")
            go_on.set()
            assert await status(connection, "running") == "ok"
            assert "1012" in await connection.ended()
        async with reached(gateway) as connection:
            assert await status(connection, "running", 10) == "timeout"
            assert gateway.transcript(KEY)[-1]["stopReason"] == "stop"


@asynccontextmanager
async def reached(gateway: FakeGateway) -> AsyncIterator[Connection]:
    """Connect as soon as it lives again."""
    while True:
        try:
            async with connected(gateway) as connection:
                yield connection
        except Unavailable:
            await trio.lowlevel.checkpoint()
        else:
            return


async def test_a_stop_refuses_everything_and_discards_what_is_queued() -> None:
    go_on = trio.Event()

    async def wait() -> None:
        await go_on.wait()

    def work(_: Turn) -> tuple[Step, ...]:
        return (CallTool("wait", call=wait), Say("Done."))

    async with FakeGateway(work).serving() as gateway, trio.open_nursery() as nursery:
        async with connected(gateway) as connection:
            await begin(connection, "running")
            await begin(connection, "queued")
            await gateway.played(1)
            nursery.start_soon(gateway.stop)
            await trio.testing.wait_all_tasks_blocked()
            for method in ("health", "agent.wait", "sessions.abort"):
                with pytest.raises(Unavailable, match="restart"):
                    await connection.call(method, {"key": KEY, "runId": "running"})
            go_on.set()
            assert "1012" in await connection.ended()
        assert len(gateway.turns) == 1


@pytest.mark.parametrize("after", [0, 1, 100, None])
async def test_a_cut_ends_connections_and_no_turn(after: int | None) -> None:
    go_on = trio.Event()

    async def wait() -> None:
        await go_on.wait()

    def work(_: Turn) -> tuple[Step, ...]:
        return (CallTool("wait", call=wait), Say("Done."))

    async with FakeGateway(work).serving() as gateway:
        async with connected(gateway) as connection:
            await begin(connection, "run")
            await gateway.played(1)
            gateway.cut(after)
            with pytest.raises(Unavailable):
                await ask_for_ever(connection)
        async with connected(gateway) as connection:
            go_on.set()
            assert await status(connection, "run") == "ok"


async def ask_for_ever(connection: Connection) -> None:
    while True:
        await connection.call("sessions.list", {})


async def test_a_hanging_gateway_says_nothing_until_it_wakes() -> None:
    async with FakeGateway().serving() as gateway, connected(gateway) as connection:
        gateway.hang()
        with trio.move_on_after(0.05) as patience:
            await connection.call("health", {})
        assert patience.cancelled_caught
        gateway.wake()
        assert (await connection.call("health", {}))["ok"]


async def test_lost_events_leave_a_gap_in_the_numbers() -> None:
    heard: list[Event] = []
    async with FakeGateway().serving() as gateway:
        address = GatewayAddress(gateway.url, gateway.token)

        def listen(what: Event | Settled) -> None:
            if isinstance(what, Event):
                heard.append(what)

        async with open_connection(address, listen) as connection:
            await begin(connection, "one")
            assert await status(connection, "one") == "ok"
            gateway.lose_events(3)
            await begin(connection, "two")
            assert await status(connection, "two") == "ok"
    assert sum(event.missed for event in heard) == 3


async def test_slow_consumers_are_dropped_with_the_code_that_says_so() -> None:
    async with FakeGateway().serving() as gateway, connected(gateway) as connection:
        await gateway.drop_slow_consumers()
        assert "1008 slow consumer" in await connection.ended()


async def test_a_method_is_refused_as_often_as_was_said() -> None:
    busy = Refusal("UNAVAILABLE", "busy", {"limit": "30 per 60s"}, retryable=True)
    async with FakeGateway().serving() as gateway, connected(gateway) as connection:
        gateway.refuse("health", busy, Refusal("FORBIDDEN"))
        with pytest.raises(Limited):
            await connection.call("health", {})
        with pytest.raises(Forbidden):
            await connection.call("health", {})
        assert (await connection.call("health", {}))["ok"]


async def test_whom_it_does_not_want_it_does_not_let_in() -> None:
    async with FakeGateway(starting=1).serving() as gateway:
        with pytest.raises(Unavailable, match="not ready"):
            async with connected(gateway):
                pass
        gateway.withheld = frozenset({"operator.admin"})
        with pytest.raises(GatewayRefused, match=r"withholds operator\.admin"):
            async with connected(gateway):
                pass
        gateway.pairing = "req-1"
        with pytest.raises(GatewayRefused, match="approve req-1"):
            async with connected(gateway):
                pass


async def test_a_script_or_a_tool_that_raises_fails_its_turn_and_nothing_else() -> None:
    async def refuse(**_: object) -> None:
        raise Invalid("no such card")

    def work(turn: Turn) -> Iterator[Step]:
        yield CallTool("mission_task", {"task_id": "x"}, refuse)
        if turn.run_id == "bad":
            raise ZeroDivisionError
        yield Say("Done.")

    async with FakeGateway(work).serving() as gateway, connected(gateway) as connection:
        await begin(connection, "bad")
        await begin(connection, "good")
        assert await status(connection, "bad") == "error"
        assert await status(connection, "good") == "ok"
    results = [row for row in gateway.transcript(KEY) if row["role"] == "toolResult"]
    assert [row["isError"] for row in results] == [True, True]
    assert "no such card" in str(results[0]["content"])


@attrs.define
class Witness:
    async def started(self, handle: RunHandle) -> None:
        """Nothing is kept here."""

    def sign(self, what: str) -> None:
        """It lives."""

    def cut_short(self, progress: Progress) -> None:
        """Nobody asks what it took."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (Say("Done."), OutcomeKind.SUCCEEDED),
        (Fail("the provider answered HTTP 400"), OutcomeKind.FAILED),
        (Hang(), OutcomeKind.TIMED_OUT),
    ],
)
async def test_the_runner_knows_how_a_turn_ended(
    step: Step, kind: OutcomeKind, tmp_path: Path
) -> None:
    order = attrs.evolve(ORDER, cwd=tmp_path)
    async with FakeGateway(lambda _: (step,)).serving() as fake, linked(fake) as gateway:
        await gateway.wait_connected()
        runner = OpenClawRunner(gateway)
        await runner.open_session(order)
        assert (await runner.run(order, Witness())).kind is kind
        assert (await runner.recover(order, HANDLE, Witness())).kind is kind
