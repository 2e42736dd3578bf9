"""Whoever is called by name, or is handed a task, hears of it in the same commit."""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from typing import Any

import attrs

from mission_control.storage import Change

Row = dict[str, Any]

CALLED = re.compile(r"@(\w+)")


@attrs.define
class Mentions:
    """Who was called since the last commit, and who was told."""

    fail: Callable[[str], None]
    _called: set[tuple[str, str, str]] = attrs.field(factory=set)
    """By whom, in which words, and who."""
    _told: list[tuple[str, str, str]] = attrs.field(factory=list)

    def thought(self, change: Change, event: Row, agents: Container[str]) -> None:
        """Follow a thought; names of nobody are nobody's."""
        for soul in CALLED.findall(event["thought"]):
            agent_id = f"{soul}:{event['project_id']}"
            if agent_id in agents and agent_id != change.actor:
                self._called.add((change.actor, event["thought"], agent_id))

    def handed_off(self, change: Change, event: Row) -> None:
        """Follow a task from one soul to another."""
        to, _, note = event["thought"].partition(" → ")[2].partition(": ")
        self._called.add((change.actor, note, f"{to}:{event['project_id']}"))

    def sent(self, message: Row) -> None:
        """Follow a message."""
        self._told.append((message["sender"], message["text"], message["to_agent"]))

    def compare(self) -> None:
        """Look whether all that were called were told, after a commit."""
        for actor, words, agent_id in sorted(self._called):
            if not any(
                (actor, agent_id) == (by, to) and words in text for by, text, to in self._told
            ):
                self.fail(f"{agent_id} was called and not told of it, in {words!r} by {actor}")
        self._called.clear()
        self._told.clear()
