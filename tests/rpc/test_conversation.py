"""How a conversation ends whose token has ended."""

from __future__ import annotations

from typing import Any, cast

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mission_control.gateway_bridge import OPERATOR
from mission_control.gateway_bridge._rpc import ENDING_WITHIN_S, Conversation

NO_MISSION = cast("Any", None)
"""What is no JSON is answered without one."""


class Client:
    """Asks one thing, and takes the answer when it may."""

    def __init__(self) -> None:
        self.takes, self.over = trio.Event(), trio.Event()
        self.answers: list[str] = []
        self.asked = ["{"]

    async def receive(self) -> str:
        if not self.asked:
            await trio.sleep_forever()
        return self.asked.pop()

    async def send(self, text: str) -> None:
        await self.takes.wait()
        self.answers.append(text)

    async def talk(self) -> None:
        await Conversation(NO_MISSION, OPERATOR, self.send).hold(self.receive, self.over)


async def test_what_was_asked_before_the_token_ended_is_answered() -> None:
    client = Client()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.talk)
        await wait_all_tasks_blocked()
        client.over.set()
        await wait_all_tasks_blocked()
        assert client.answers == []
        client.takes.set()
    assert len(client.answers) == 1


async def test_nothing_is_taken_in_after_that(autojump_clock: MockClock) -> None:
    client = Client()
    client.over.set()
    client.asked.clear()
    await client.talk()
    assert client.answers == []


async def test_one_answer_that_never_goes_out_is_not_waited_for_for_ever(
    autojump_clock: MockClock,
) -> None:
    client = Client()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.talk)
        await wait_all_tasks_blocked()
        client.over.set()
    assert trio.current_time() == ENDING_WITHIN_S
    assert client.answers == []
