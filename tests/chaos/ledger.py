"""The client's side of it: what was asked for, and what was acknowledged.  It is never killed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs

from .steps import Step


@attrs.define
class Ledger:
    """Of one home, over all its lives."""

    steps: dict[str, Step] = attrs.field(factory=dict)
    answers: dict[str, Any] = attrs.field(factory=dict)
    """Of what was acknowledged."""
    refused: set[str] = attrs.field(factory=set)
    quarrels: list[str] = attrs.field(factory=list)
    """Two different answers to one key."""

    def tell(self, what: str, key: str, *more: Any) -> None:
        """Take down what a client says."""
        match what, more:
            case "tried", (method, params):
                self.steps[key] = Step(key, method, params)
            case "refused", ():
                self.refused.add(key)
            case "acknowledged", (answer,):
                known = self.answers.setdefault(key, answer)
                if known != answer:
                    self.quarrels.append(f"{key} was answered {known}, and then {answer}")
            case _:
                raise AssertionError((what, more))

    @property
    def unknown(self) -> list[Step]:
        """What was asked for, and nobody knows whether it happened."""
        known = self.refused | self.answers.keys()
        return [step for key, step in self.steps.items() if key not in known]

    @property
    def cards(self) -> dict[str, str]:
        """Cards that were acknowledged: the id by the key."""
        return {
            key: answer["task_id"]
            for key, answer in self.answers.items()
            if self.steps[key].method == "mission.task.create"
        }

    def writes_to_cards(self, keys: set[str] | None = None) -> Counter[str]:
        """Count, by card, the acknowledged steps that write to it; or those with *keys*."""
        wanted = set(self.answers) if keys is None else keys
        methods = ("mission.task.update", "mission.task.move")
        return Counter(
            step.params["task_id"]
            for key, step in self.steps.items()
            if key in wanted and step.method in methods
        )
