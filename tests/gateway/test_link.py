"""The link against a small Gateway over real sockets."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from tenacity import wait_fixed

from mission_control.gateway_bridge import _connection, _link, _quota, connect
from mission_control.gateway_bridge._address import GatewayAddress
from mission_control.gateway_bridge._connection import ConnectionLost, open_connection
from mission_control.gateway_bridge._frames import Event, Settled
from mission_control.gateway_bridge._link import Gap, Gateway
from mission_control.gateway_bridge._refusals import GatewayRefused
from mission_control.storage import Deadline, Invalid, Unavailable

from .fake_gateway import TOKEN, FakeGateway, Frame, Peer, answer_nothing

RUN, SESSION = "run-1", "agent:main:mc:p:a"


@asynccontextmanager
async def linked(
    fake: FakeGateway, token: str = TOKEN, read_token: Callable[[], str] | None = None
) -> AsyncIterator[Gateway]:
    """A Gateway handle that stays connected while the block runs."""
    gateway = Gateway(GatewayAddress(fake.url, token), read_token)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gateway.stay_connected)
        yield gateway
        nursery.cancel_scope.cancel()


async def until_down(gateway: Gateway, why: str) -> None:
    while why not in (gateway.why_down or ""):
        await gateway.changed()


async def echo(peer: Peer, request: Frame) -> None:
    await peer.answer(request, echo=request["params"])


async def test_a_call_returns_the_answers_payload() -> None:
    fake = FakeGateway(handle=echo)
    async with fake.serving(), linked(fake) as gateway:
        assert await gateway.wait_connected() == "boot-1"
        assert gateway.connected
        assert gateway.why_down is None
        assert await gateway.call("any", {"n": 1}) == {"echo": {"n": 1}}


async def test_answers_find_their_calls_in_any_order() -> None:
    held: list[Frame] = []

    async def answer_backwards(peer: Peer, request: Frame) -> None:
        held.append(request)
        if len(held) == 3:
            for each in reversed(held):
                await echo(peer, each)

    answers: dict[int, Any] = {}

    async def ask(gateway: Gateway, n: int) -> None:
        answers[n] = await gateway.call("any", {"n": n})

    fake = FakeGateway(handle=answer_backwards)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        async with trio.open_nursery() as nursery:
            for n in range(3):
                nursery.start_soon(ask, gateway, n)
    assert answers == {n: {"echo": {"n": n}} for n in range(3)}


async def test_a_failure_becomes_an_error_of_our_taxonomy() -> None:
    async def refuse(peer: Peer, request: Frame) -> None:
        await peer.refuse(request, "INVALID_REQUEST")

    fake = FakeGateway(handle=refuse)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        with pytest.raises(Invalid, match="refused any"):
            await gateway.call("any", {})


async def test_a_call_that_is_not_answered_in_time_raises_deadline() -> None:
    fake = FakeGateway(handle=answer_nothing)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        with pytest.raises(Deadline):
            await gateway.call("any", {}, timeout=0.01)


async def test_a_call_beyond_the_gateways_limit_waits_on_our_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_quota, "CONTROL_PLANE_CALLS", 2)
    monkeypatch.setattr(_quota, "CONTROL_PLANE_PERIOD_S", 3600.0)
    fake = FakeGateway(handle=echo)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        for n in range(2):
            await gateway.call("config.patch", {"n": n})
        with pytest.raises(Deadline):
            await gateway.call("config.patch", {"n": 2}, timeout=0.01)
        await gateway.call("cron.add", {})  # what was asked before this has arrived
    assert [each["method"] for each in fake.requests[1:]] == [*["config.patch"] * 2, "cron.add"]


async def test_no_more_is_asked_at_once_than_the_gateway_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_link, "MAX_IN_FLIGHT", 2)
    held: list[tuple[Peer, Frame]] = []
    crowds: list[int] = []

    async def hold(peer: Peer, request: Frame) -> None:
        held.append((peer, request))

    fake = FakeGateway(handle=hold)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(gateway.call, "any", {})
            while sum(crowds) < 10:
                await trio.testing.wait_all_tasks_blocked(0.02)
                crowds.append(len(held))
                while held:
                    await echo(*held.pop())
    assert max(crowds) == 2


async def test_a_call_while_the_gateway_is_away_fails_at_once() -> None:
    gateway = Gateway(GatewayAddress("ws://127.0.0.1:9/", TOKEN))
    with pytest.raises(Unavailable) as caught:
        await gateway.call("any", {})
    assert caught.value.retry_after_ms
    assert not gateway.connected
    assert gateway.boot_id is None


async def test_the_wrong_token_is_reported_once_with_what_to_do(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_link, "REFUSED_WAIT_S", 0.001)
    fake = FakeGateway()
    async with fake.serving(), linked(fake, token="wrong") as gateway:
        await until_down(gateway, "refused the token")
        await fake.asked(3)
        assert "AUTH_TOKEN_MISMATCH" in (gateway.why_down or "")
        assert "--token-file" in (gateway.why_down or "")
        with pytest.raises(Unavailable, match="--token-file"):
            await gateway.call("any", {})
    warnings = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert TOKEN not in caplog.text


async def test_a_token_that_is_mended_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_link, "REFUSED_WAIT_S", 0.001)
    file: dict[str, str] = {}

    def read() -> str:
        try:
            return file["token"]
        except KeyError:
            raise Invalid("cannot read the Gateway's token") from None

    fake = FakeGateway()
    async with fake.serving(), linked(fake, "of old", read) as gateway:
        await until_down(gateway, "cannot read the Gateway's token")
        file["token"] = "wrong"
        await until_down(gateway, "refused the token")
        file["token"] = TOKEN
        await gateway.wait_connected()


async def test_a_refusal_reaches_who_opened_the_connection() -> None:
    fake = FakeGateway(protocol=5)
    async with fake.serving():
        with pytest.raises(GatewayRefused, match="we speak protocol 4"):
            async with open_connection(GatewayAddress(fake.url, TOKEN), lambda _: None):
                pass


async def test_an_error_in_the_block_leaves_a_connection_as_it_is() -> None:
    fake = FakeGateway()
    async with fake.serving():
        with pytest.raises(Invalid):
            async with open_connection(GatewayAddress(fake.url, TOKEN), lambda _: None):
                raise Invalid("of the block")


async def test_a_gateway_that_still_starts_is_asked_again() -> None:
    fake = FakeGateway(handle=echo, starting=2)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        assert await gateway.call("any", {}) == {"echo": {}}
        assert len(fake.requests) == 4


async def test_a_gateway_that_comes_later_is_found() -> None:
    fake = FakeGateway(handle=echo)
    async with fake.serving():
        pass  # now there is a port at which nobody listens
    async with linked(fake) as gateway:
        await until_down(gateway, "is it running?")
        async with fake.serving():
            await gateway.wait_connected()
            assert await gateway.call("any", {}) == {"echo": {}}


@asynccontextmanager
async def served_by(handler: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    """Serve as *handler* says, which need not be as a Gateway does."""
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, handler, 0, host="127.0.0.1"))
        yield f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}/"
        nursery.cancel_scope.cancel()


async def test_a_gateway_that_is_heard_of_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_link, "_backoff", wait_fixed(3600))
    monkeypatch.setattr(_link, "LONGEST_WAIT_S", 3600)
    fake = FakeGateway(handle=echo)
    async with fake.serving():
        pass  # now its port is known, and nobody is there
    async with linked(fake) as gateway:
        await until_down(gateway, "is it running?")
        async with fake.serving():
            gateway.expect()
            assert await gateway.wait_connected()


async def test_a_server_that_is_no_gateway_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_connection, "GREETING_TIMEOUT_S", 0.1)

    async def keep_silent(_: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with served_by(keep_silent) as url:
        with pytest.raises(Unavailable, match="does not greet"):
            async with open_connection(GatewayAddress(url, TOKEN), lambda _: None):
                pass


@pytest.mark.parametrize(
    "banner",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 500 \xff\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Fine\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"\x00\xff" * 100_000,
    ],
    ids=("ssh", "broken status", "page", "no key", "tls alert", "noise"),
)
async def test_whatever_else_listens_there_is_no_gateway(banner: bytes) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            await stream.receive_some()
            await stream.send_all(banner)
        await stream.aclose()

    async with served_by(answer) as url:
        with pytest.raises(Unavailable, match=r"does not greet|hung up before"):
            async with open_connection(GatewayAddress(url, TOKEN), lambda _: None):
                pass
        with pytest.raises(Unavailable):
            async with connect(url, TOKEN):
                pass


@pytest.mark.parametrize("heard", [0, 1])
async def test_who_hangs_up_before_the_greeting_is_not_waited_for(
    heard: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_connection, "GREETING_TIMEOUT_S", math.inf)

    async def hang_up(stream: trio.SocketStream) -> None:
        if heard:
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 101 Swi")
        await stream.aclose()

    async with served_by(hang_up) as url:
        with pytest.raises(Unavailable, match="hung up before"):
            async with open_connection(GatewayAddress(url, TOKEN), lambda _: None):
                pass


async def test_a_call_whose_connection_is_cut_says_that_it_may_have_been_done() -> None:
    async def hang_up(peer: Peer, request: Frame) -> None:
        fake.boot_id = "boot-2"
        await peer.hang_up()

    fake = FakeGateway(handle=hang_up)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        with pytest.raises(ConnectionLost, match="before any was answered"):
            await gateway.call("any", {})
        assert await gateway.wait_connected() == "boot-2"


async def test_a_silent_connection_is_given_up() -> None:
    fake = FakeGateway(handle=answer_nothing, tick_ms=10)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        await until_down(gateway, "fell silent")


async def test_a_watch_hears_its_run_until_the_second_answer() -> None:
    async def run(peer: Peer, request: Frame) -> None:
        await peer.answer(request, status="accepted", runId=RUN)
        await peer.tell("agent", runId="other", sessionKey="other", stream="assistant")
        await peer.tell("agent", runId=RUN, stream="assistant")
        await peer.tell("session.message", sessionKey=SESSION)
        await peer.answer(request, status="ok", runId=RUN, summary="completed")

    fake = FakeGateway(handle=run)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        with gateway.watch(RUN, SESSION) as updates:
            assert (await gateway.call("agent", {}))["status"] == "accepted"
            heard = [await anext(updates) for _ in range(3)]
    assert heard == [
        Event("agent", {"runId": RUN, "stream": "assistant"}),
        Event("session.message", {"sessionKey": SESSION}),
        Settled(RUN, {"status": "ok", "runId": RUN, "summary": "completed"}),
    ]


async def test_a_gap_in_the_numbers_reaches_every_watch() -> None:
    async def skip(peer: Peer, request: Frame) -> None:
        await peer.tell("tick")
        peer.seq += 5
        await peer.tell("tick")
        await peer.answer(request)

    fake = FakeGateway(handle=skip)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        with gateway.watch(RUN, SESSION) as updates:
            await gateway.call("any", {})
            assert await anext(updates) == Gap("5 events did not arrive")


async def test_a_lost_connection_is_a_gap_too() -> None:
    async def hang_up(peer: Peer, request: Frame) -> None:
        await peer.hang_up()

    fake = FakeGateway(handle=hang_up)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        with gateway.watch(RUN, SESSION) as updates:
            with pytest.raises(ConnectionLost):
                await gateway.call("any", {})
            assert "1012" in (await anext(updates)).why  # type: ignore[union-attr]


async def test_a_slow_reader_loses_events_and_is_told_where(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_link, "WATCH_LIMIT", 2)

    async def flood(peer: Peer, request: Frame) -> None:
        for n in range(4):
            await peer.tell("agent", runId=RUN, n=n)
        await peer.answer(request)

    fake = FakeGateway(handle=flood)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        with gateway.watch(RUN, SESSION) as updates:
            await gateway.call("any", {})
            heard = [await anext(updates) for _ in range(3)]
            await gateway.call("any", {})
            heard += [await anext(updates) for _ in range(2)]
    assert [getattr(h, "payload", {}).get("n", "gap") for h in heard] == [0, 1, "gap", 0, 1]


async def test_a_frame_of_many_megabytes_passes() -> None:
    async def answer_at_length(peer: Peer, request: Frame) -> None:
        await peer.answer(request, text="x" * 3_000_000)

    fake = FakeGateway(handle=answer_at_length)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        assert len((await gateway.call("any", {}))["text"]) == 3_000_000


async def test_nonsense_does_not_disturb_the_conversation() -> None:
    async def babble(peer: Peer, request: Frame) -> None:
        for nonsense in ("[", "{}", '{"type": "res", "id": 7}', '{"type": "event"}', b"\xff"):
            await peer.websocket.send_message(nonsense)
        await peer.answer(request, fine=True)

    fake = FakeGateway(handle=babble)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        assert await gateway.call("any", {}) == {"fine": True}


async def test_the_token_is_only_in_the_greeting() -> None:
    fake = FakeGateway(handle=echo)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        await gateway.call("any", {})
    assert [TOKEN in json.dumps(request) for request in fake.requests] == [True, False]


async def test_a_gateway_that_says_goodbye_gets_no_new_turns_but_may_still_be_asked() -> None:
    fake = FakeGateway(handle=farewell)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        assert gateway.why_away is None
        await gateway.call("any", {})
        with trio.fail_after(20):
            while gateway.why_away is None:
                await gateway.changed()
        assert "gateway restarting" in gateway.why_away
        assert gateway.connected
        assert gateway.why_down is None


async def farewell(peer: Peer, request: Frame) -> None:
    await peer.tell("shutdown", reason="gateway restarting", restartExpectedMs=1500)
    await peer.answer(request)


async def test_a_refusal_because_of_a_restart_counts_as_a_goodbye_until_it_is_back() -> None:
    async def refuse(peer: Peer, request: Frame) -> None:
        details = {"reason": "gateway-restarting"}
        await peer.refuse(request, "UNAVAILABLE", retryable=True, details=details)
        await peer.hang_up()

    fake = FakeGateway(handle=refuse)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        with pytest.raises(Unavailable):
            await gateway.call("sessions.list", {})
        assert gateway.why_away is not None
        with trio.fail_after(20):
            while gateway.why_away is not None:
                await gateway.changed()


async def test_a_gateway_that_fails_again_and_again_is_left_alone_until_it_is_back() -> None:
    async def fail(peer: Peer, request: Frame) -> None:
        await peer.refuse(request, "UNAVAILABLE", retryable=True)

    fake = FakeGateway(handle=fail)
    async with fake.serving(), linked(fake) as gateway:
        await gateway.wait_connected()
        for _ in range(5):
            with pytest.raises(Unavailable):
                await gateway.call("sessions.list", {})
        heard = len(fake.requests)
        with pytest.raises(Unavailable, match="left alone"):
            await gateway.call("sessions.list", {})
        assert len(fake.requests) == heard
        assert gateway.left_alone
