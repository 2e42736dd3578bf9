"""Limits and tokens at the doors: who takes too much, who guesses, whose token has ended."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack

import pytest
import trio

from besieged import Besiege, rest, status
from rig import PATIENCE_S
from system_doors import call, post, websocket

LIST = json.dumps(call("mission.project.list")).encode()
LENGTH = f"Content-Length: {len(LIST)}"


async def test_who_connects_and_says_nothing_makes_room_for_who_does(besiege: Besiege) -> None:
    async with besiege(strangers=4, head_within_s=1000.0) as siege, AsyncExitStack() as silent:
        streams = [await silent.enter_async_context(await siege.reach()) for _ in range(20)]
        with trio.fail_after(PATIENCE_S):
            for stream in streams[:16]:
                assert await rest(stream) == b""
            assert (await post(siege.mc, call("mission.project.list"))).status == 200
            async with websocket(siege.mc) as other:
                assert (await other.result("mission.project.list"))["projects"] == []


async def test_callers_that_were_let_in_are_not_cut_by_strangers(besiege: Besiege) -> None:
    async with besiege(strangers=2) as siege, AsyncExitStack() as silent:
        for _ in range(30):
            await silent.enter_async_context(await siege.reach())
            await siege.stands()


async def test_one_caller_cannot_take_all_connections(besiege: Besiege) -> None:
    async with besiege(connections_each=2) as siege:
        token = (await siege.mc.call("mission.token.create", name="ci", scope="read"))["token"]
        async with websocket(siege.mc, token=token), websocket(siege.mc, token=token):
            full = await siege.exchange(siege.upgrade(token=token))
            assert status(full) == 429
            assert b'"retry_after_ms":1000' in full
            assert b"retry-after: 1\r\n" in full
            assert (await post(siege.mc, call("mission.project.list"), token)).status == 429
            assert (await post(siege.mc, call("mission.project.list"))).status == 200

        with trio.fail_after(PATIENCE_S):  # until the sidecar has seen that they are gone
            while (await post(siege.mc, call("mission.project.list"), token)).status != 200:
                pass


async def test_one_caller_that_calls_too_often_is_limited_and_the_others_are_not(
    besiege: Besiege,
) -> None:
    async with besiege(calls_per_s=0.01) as siege:  # with a burst of one
        token = (await siege.mc.call("mission.token.create", name="ci", scope="read"))["token"]
        other = (await siege.mc.call("mission.token.create", name="di", scope="read"))["token"]
        first = await post(siege.mc, call("mission.project.list"), token)
        assert "result" in first.json
        batch = [call("mission.project.list"), call("mission.project.get", project_id="x")]
        for answer in (await post(siege.mc, batch, token)).json:
            data = answer["error"]["data"]
            assert (data["kind"], data["retryable"]) == ("limited", True)
            assert data["retry_after_ms"] > 1000
        assert "result" in (await post(siege.mc, call("mission.project.list"), other)).json


async def test_guesses_are_answered_with_a_limit_and_keep_nobody_out(
    besiege: Besiege,
) -> None:
    async with besiege(wrong_tokens_per_min=5) as siege:
        question = call("mission.project.list")
        guesses = [await post(siege.mc, question, f"guess-{n}") for n in range(30)]
        kinds = [guess.json["error"]["data"]["kind"] for guess in guesses]
        assert kinds[:5] == ["unauthenticated"] * 5
        assert kinds[-1] == "limited"
        assert guesses[-1].status == 429
        assert guesses[-1].json["error"]["data"]["retry_after_ms"] > 0
        asked = {
            door: siege.head("POST /rpc", "Connection: close", LENGTH, door=door) + LIST
            for door in ("tcp", "unix")
        }
        assert status(await siege.exchange(asked["tcp"])) == 200
        assert status(await siege.exchange(asked["unix"], "unix")) == 200
        for _ in range(10):
            wrong = siege.head("POST /rpc", "Connection: close", door="unix", token="guess")
            assert status(await siege.exchange(wrong, "unix")) in (401, 429)
        assert status(await siege.exchange(asked["unix"], "unix")) == 200
        assert status(await siege.exchange(asked["tcp"])) == 200


async def test_a_plugin_that_guesses_counts_as_well(besiege: Besiege) -> None:
    async with besiege(wrong_tokens_per_min=3) as siege:
        kinds, codes = [], []
        for number in range(6):
            async with websocket(
                siege.mc, "/bridge", subprotocols=("mission-bridge.v1",)
            ) as bridge:
                hello = call("bridge.hello", token=f"guess-{number}", protocol=1)
                kinds.append((await bridge.ask(hello))["error"]["data"]["kind"])
                codes.append(await bridge.closed())
        assert kinds[:3] == ["unauthenticated"] * 3
        assert (kinds[-1], codes[-1]) == ("limited", 1013)


async def test_a_program_of_another_user_is_not_listened_to(
    besiege: Besiege, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mission_control.gateway_bridge._server.may_ask", lambda _: False)
    async with besiege() as siege:
        assert await siege.exchange(siege.head("GET /healthz", door="unix"), "unix") == b""


async def test_a_rotated_token_ends_its_connections_at_once(besiege: Besiege) -> None:
    async with besiege() as siege:
        old = (await siege.mc.call("mission.token.create", name="ci", scope="write"))["token"]
        async with websocket(siege.mc, token=old) as wire:
            await wire.result("mission.subscribe")
            new = (await siege.mc.call("mission.token.rotate", name="ci"))["token"]
            assert await wire.closed() == 4401
        assert (await post(siege.mc, call("mission.project.list"), old)).status == 401
        async with websocket(siege.mc, token=new) as wire:
            assert (await wire.result("mission.project.list"))["projects"] == []
            await siege.mc.call("mission.token.revoke", name="ci")
            assert await wire.closed() == 4401
        assert (await post(siege.mc, call("mission.project.list"), new)).status == 401


async def test_who_rotates_the_token_that_it_came_with_is_answered_first(
    besiege: Besiege,
) -> None:
    async with besiege() as siege:
        mine = (await siege.mc.call("mission.token.create", name="me", scope="admin"))["token"]
        async with websocket(siege.mc, token=mine) as wire:
            new = (await wire.result("mission.token.rotate", name="me"))["token"]
            assert await wire.closed() == 4401
        assert (await post(siege.mc, call("mission.token.list"), new)).status == 200


async def test_the_operators_token_is_rotated_while_the_sidecar_runs(besiege: Besiege) -> None:
    async with besiege() as siege:
        old = siege.mc.token
        hello = call("bridge.hello", token=old, protocol=1)
        async with (
            websocket(siege.mc) as operator,
            websocket(siege.mc, "/bridge", subprotocols=("mission-bridge.v1",)) as plugin,
        ):
            assert "result" in await plugin.ask(hello)
            assert await operator.result("mission.token.rotate", name="operator") == {
                "name": "operator"
            }
            assert await operator.closed() == 4401
            assert await plugin.closed() == 1013  # it reads its file and comes back
        assert siege.mc.token != old
        assert (await post(siege.mc, call("mission.project.list"), old)).status == 401
        assert (await post(siege.mc, call("mission.project.list"))).status == 200


async def test_methods_about_tokens_are_for_administrators(besiege: Besiege) -> None:
    async with besiege() as siege:
        for scope in ("read", "write"):
            created = await siege.mc.call("mission.token.create", name=scope, scope=scope)
            for method in ("create", "list", "rotate", "revoke"):
                question = call(f"mission.token.{method}", name="x", scope="admin")
                answer = (await post(siege.mc, question, created["token"])).json
                assert answer["error"]["data"]["kind"] == "forbidden"
