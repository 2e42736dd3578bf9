"""What a client does, again and again: changes that can be counted afterwards, each with a key."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import attrs

from mission_control.storage import MissionError

CLIENTS = 50
PROJECT = "p"
AGENT = "shuri:p"

Call: TypeAlias = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Calls a method; raises `MissionError` where it is refused."""
Tell: TypeAlias = Callable[..., None]
"""Writes into the ledger, before and after."""


@attrs.frozen
class Step:
    """One request, as it can be made again."""

    key: str
    method: str
    params: dict[str, Any]

    @property
    def keyed(self) -> dict[str, Any]:
        return {**self.params, "idempotency_key": self.key}


async def make(step: Step, call: Call, tell: Tell, *, keyless: bool = False) -> Any:
    """Make a request, and put into the ledger what was heard of it; None where it was refused."""
    tell("tried", step.key, step.method, step.params)
    try:
        answer = await call(step.method, step.params if keyless else step.keyed)
    except MissionError as refusal:
        if not refusal.retryable:  # else nobody knows: that is for the next life
            tell("refused", step.key)
        return None
    tell("acknowledged", step.key, answer)
    return answer


@attrs.define
class Client:
    """One of fifty; its cards are its own."""

    name: str
    call: Call
    tell: Tell
    chance: random.Random
    cards: dict[str, int] = attrs.field(factory=dict)
    """The column of each."""
    made: int = 0

    async def work(self) -> None:
        """Make one request after the other, for ever."""
        while True:
            self.made += 1
            step = self.next_step(f"{self.name}-{self.made}")
            answer = await make(step, self.call, self.tell)
            if answer is None:
                continue
            if step.method == "mission.task.create":
                self.cards[answer["task_id"]] = 0
            elif step.method == "mission.task.move":
                self.cards[step.params["task_id"]] = step.params["new_status"]

    def next_step(self, key: str) -> Step:
        """Choose; the key is also what the change says, so that it can be found again."""
        card = self.chance.choice(list(self.cards)) if self.cards else ""
        new = {"project_id": PROJECT, "title": key}
        # To be refused half-way: the card is written before its dependency is found missing.
        bad = {**new, "depends_on": ["nowhere"]}
        kinds: list[tuple[int, str, dict[str, Any]]] = [
            (30, "mission.task.create", new),
            (10, "mission.task.create", bad),
            (5, "mission.control.update_chronicle", {"project_id": PROJECT, "summary": key}),
            (5, "mission.agent.message", {"instance_id": AGENT, "text": key}),
        ]
        if card:
            other = 0 if self.cards[card] else 3
            kinds += [
                (20, "mission.task.update", {"task_id": card, "description": key}),
                (10, "mission.task.move", {"task_id": card, "new_status": other}),
                (20, "mission.control.log_event", {"task_id": card, "thought": key}),
            ]
        (chosen,) = self.chance.choices(kinds, [weight for weight, _, _ in kinds])
        return Step(key, *chosen[1:])
