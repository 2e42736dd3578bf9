"""The sidecar says at each start of the Gateway where its sandbox is open."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import trio

from mission_control.gateway_bridge import Gateway, GatewayAddress, GatewayLink, watch_sandbox
from mission_control.supervisor import ChildSpec, Shutdown, System, open_system

from .fake_gateway import TOKEN, FakeGateway, Frame, Peer

PATIENCE_S = 60.0


def configured(config: dict[str, Any]) -> FakeGateway:
    async def handle(peer: Peer, request: Frame) -> None:
        await peer.answer(request, parsed=config)

    return FakeGateway(handle=handle)


async def begin(system: System, fake: FakeGateway) -> None:
    gateway = Gateway(GatewayAddress(fake.url, TOKEN))
    await system.root.start_child(ChildSpec("gateway", GatewayLink, args=(gateway,)))
    args = (gateway, "main", Path("/home/op"))
    brutal = Shutdown.BRUTAL_KILL
    await system.root.start_child(ChildSpec("sandbox", watch_sandbox, args=args, shutdown=brutal))


async def until_logged(caplog: pytest.LogCaptureFixture, words: str) -> None:
    with trio.fail_after(PATIENCE_S):
        while words not in caplog.text:  # noqa: ASYNC110 - a log tells nobody
            await trio.sleep(0.02)


async def test_an_open_sandbox_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fake = configured({})
    async with fake.serving(), open_system("test") as system:
        await begin(system, fake)
        await until_logged(caplog, "sandbox mode is 'off'")
        await until_logged(caplog, "held inside the scope by the plugin alone")
    levels = {record.levelno for record in caplog.records if "sandbox mode" in record.message}
    assert levels == {logging.WARNING}


async def test_a_gateway_that_does_not_tell_is_no_trouble(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    fake = FakeGateway()  # it knows no config.get
    async with fake.serving(), open_system("test") as system:
        await begin(system, fake)
        await until_logged(caplog, "could not be looked at")
