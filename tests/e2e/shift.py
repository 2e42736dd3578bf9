"""What a crew does under faults, and the book that the model keeps of it.

Each turn that begins is given a number of its own, and its agent logs that as its first thought.
So what the model was asked can be compared with the attempts that Mission Control recorded: a
turn that ran twice shows as two numbers in one attempt, or as more beginnings than attempts.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable

import attrs

from .scripted_model import CallTool, ModelRequest, Say, Step

PROMPT = re.compile(r"Work on your task '(?P<title>[^']*)' \(ID: [0-9a-f-]+\)|Call distill_memory")
RESUMED = "Your previous turn was interrupted by a gateway restart"
"""What the Gateway says in the turn that it begins by itself after a crash."""

DONE = CallTool("mission_task", {"action": "move", "new_status": "done"})
WORK: tuple[Step, ...] = (DONE, Say("It is done."))

PATIENCE_S = 200.0
"""For what takes seconds on an idle machine, or half a minute with a start of the Gateway."""

Play = Step | Callable[[], Step]
"""A step, or how to come by it; the second kind may wait, in the model's thread."""


@attrs.define
class Gate:
    """A step that is told to the test, and taken when the test says so."""

    step: Step
    reached: threading.Event = attrs.field(factory=threading.Event)
    opened: threading.Event = attrs.field(factory=threading.Event)

    def __call__(self) -> Step:
        """Wait in the model's thread."""
        self.reached.set()
        self.opened.wait(PATIENCE_S)
        return self.step


@attrs.define
class Shift:
    """The script of the model.

    Attributes:
        first: by title, what follows the first thought in a task's first turn.
        later: the same for its other turns; all other tasks are done as `WORK` says.
        resumed: what the Gateway hears in turns that it began by itself.
    """

    first: dict[str, tuple[Play, ...]] = attrs.field(factory=dict)
    later: dict[str, tuple[Play, ...]] = attrs.field(factory=dict)
    resumed: tuple[Play, ...] = WORK
    _begun: Counter[str] = attrs.field(factory=Counter)
    _resumptions: Counter[str] = attrs.field(factory=Counter)
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def __call__(self, request: ModelRequest) -> Step:
        """Answer the Gateway; called in the threads of the model's server."""
        prompt = _newest_prompt(request)
        if prompt is None or prompt["title"] is None:
            return Say("Ok.")  # to learn nothing is no fault
        title = prompt["title"]
        replies = request.replies_since(prompt[0])
        if _is_resumed(request, prompt[0]):
            return self._resume(request, title)
        if replies == 0:
            return self._begin(title)
        plan = self.first if self.begun(title) == 1 else self.later
        steps = plan.get(title, WORK)
        return _played(steps[min(replies - 1, len(steps) - 1)])

    def begun(self, title: str) -> int:
        """How many turns began with this task, but for those that the Gateway resumed."""
        with self._lock:
            return self._begun[title]

    def resumptions(self, title: str) -> int:
        """How many requests there were in turns that the Gateway resumed."""
        with self._lock:
            return self._resumptions[title]

    def _begin(self, title: str) -> Step:
        with self._lock:
            self._begun[title] += 1
            number = self._begun[title]
        return CallTool("log_event", {"thought": f"turn {number} of {title}"})

    def _resume(self, request: ModelRequest, title: str) -> Step:
        with self._lock:
            self._resumptions[title] += 1
        replies = request.replies_since(RESUMED)
        return _played(self.resumed[min(replies, len(self.resumed) - 1)])


def _played(play: Play) -> Step:
    return play() if callable(play) else play


def _newest_prompt(request: ModelRequest) -> re.Match[str] | None:
    said = [m for role, text in request.messages if role == "user" for m in PROMPT.finditer(text)]
    return said[-1] if said else None


def _is_resumed(request: ModelRequest, prompt: str) -> bool:
    """Whether the Gateway has gone on by itself since *prompt*."""
    for role, text in reversed(request.messages):
        if role == "user" and RESUMED in text.rpartition(prompt)[2]:
            return True
        if role == "user" and prompt in text:
            return False
    return False
