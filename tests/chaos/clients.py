"""Clients of a sidecar that is killed while they talk to it."""

from __future__ import annotations

import random
from typing import Any

import attrs
import trio
from trio_websocket import ConnectionClosed

from mission_control.storage import from_wire
from system_doors import call as request
from system_doors import websocket

from .steps import CLIENTS, Client, Step, make
from .victim import MOST_ACKNOWLEDGED, Victim

PATIENCE_S = 60


async def visit(victim: Victim) -> None:
    """Be the fifty clients of a life, through its door, until it is killed."""
    unknown = victim.ledger.unknown
    before = len(victim.ledger.answers)
    wanted = before + victim.chance.randrange(1, MOST_ACKNOWLEDGED)
    enough = trio.Event()

    def tell(what: str, key: str, *more: Any) -> None:
        victim.ledger.tell(what, key, *more)
        if len(victim.ledger.answers) >= wanted:
            enough.set()

    with victim.template.life(victim.order(serves=True)) as life:
        _, url, token, opened_ms = next(victim.hear(life))
        victim.score.opened_ms.append(opened_ms)
        async with trio.open_nursery() as nursery:
            for number in range(CLIENTS):
                chance = random.Random(victim.chance.random())  # noqa: S311 - no secrets
                client = Client(f"life{victim.score.lives}-{number}", nobody, tell, chance)
                again = unknown[number::CLIENTS]
                nursery.start_soon(be_client, client, Door(url, token), again)
            with trio.fail_after(PATIENCE_S):
                await enough.wait()
            victim.wait_a_moment(0.01)
            life.kill()
            nursery.cancel_scope.cancel()
    victim.score.acknowledged += len(victim.ledger.answers) - before


@attrs.frozen
class Door:
    """Where a life listens."""

    url: str
    token: str


async def nobody(method: str, params: dict[str, Any]) -> dict[str, Any]:
    raise AssertionError(method)


async def be_client(client: Client, door: Door, again: list[Step]) -> None:
    try:
        async with websocket(door) as wire:

            async def call(method: str, params: dict[str, Any]) -> Any:
                answer = await wire.ask(request(method, **params))
                if "error" in answer:
                    raise from_wire(answer["error"])
                return answer["result"]

            client.call = call
            for step in again:
                await make(step, call, client.tell)
            await client.work()
    except* (ConnectionClosed, trio.BrokenResourceError, OSError):
        pass  # it was killed
