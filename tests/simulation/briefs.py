"""What agents are told at the beginning of a turn: their own task, and who they are by now."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs

from mission_control.actors import PulseOrder

UNUSABLE = "{nonsense}"
VERSION = re.compile(r", version (\d+)\.")


def persona(soul: str, version: int) -> str:
    """Return the text of a soul, which says how new it is."""
    return f"You are {soul}, version {version}.\n"


@attrs.define
class Briefs:
    """Compares the orders of runs with what was acknowledged before their pulses were begun."""

    fail: Callable[[str], None]
    installed: dict[str, int] = attrs.field(factory=dict)
    """The newest version of each soul that was acknowledged."""
    _least: dict[str, int] = attrs.field(factory=dict)
    """By pulse: the oldest version that its agent may be told."""

    def begun(self, pulse: dict[str, Any]) -> None:
        """Follow the beginning of an attempt."""
        soul = pulse["agent_id"].partition(":")[0]
        self._least[pulse["id"]] = self.installed.get(soul, 0)

    def given(self, order: PulseOrder) -> None:
        """Look at the order of a run that begins."""
        for named in (order.project_id, order.task_id):
            if named is not None and named not in order.status_text:
                self.fail(f"{order.agent_id} is not told of {named}: {order.status_text}")
        if UNUSABLE in order.status_text:
            self.fail(f"{order.agent_id} is told by a template that was refused")
        versions = map(int, VERSION.findall(order.status_text))
        told, least = max(versions, default=0), self._least.get(order.pulse_id, 0)
        if told < least:
            self.fail(f"{order.agent_id} is version {told}, and {least} was installed before")
