"""What a test says that the model does, turn by turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

import attrs


@attrs.frozen
class Say:
    """Reply with *text*, and end the turn."""

    text: str
    pieces: int = 1
    """In how many parts it is streamed."""


@attrs.frozen
class Think:
    """Say nothing for a while, by trio's clock."""

    seconds: float


@attrs.frozen
class CallTool:
    """Call one tool, and go on."""

    name: str
    args: Mapping[str, Any] = attrs.field(factory=dict)
    call: Callable[..., Awaitable[object]] | None = None
    """Carries it out, given *args* by name; what it returns or raises is the tool's result.

    Without it the tool does nothing and succeeds; with `background: True` among *args* it leaves
    a command behind that outlives the turn.
    """
    text: str = ""
    """Said before the call."""


@attrs.frozen
class Hang:
    """Say *text*, and then nothing more until the turn is aborted or its time is up."""

    text: str = ""


@attrs.frozen
class Fail:
    """End the turn with an error, as when the model's provider refuses."""

    message: str = "the provider answered HTTP 500"


Step: TypeAlias = Say | Think | CallTool | Hang | Fail
"""All that a turn may do."""


@attrs.frozen
class Turn:
    """What the model is asked."""

    run_id: str
    session_key: str
    agent_id: str
    message: str
    """What the turn was begun with; of a resumed turn, what the interrupted one was."""
    system: str = ""
    """The caller's `extraSystemPrompt`; a resumed turn has none."""
    cwd: str | None = None
    timeout_s: float | None = None
    resumed: bool = False
    """Whether the Gateway began it by itself, after it was killed in the middle of a turn."""


Script: TypeAlias = Callable[[Turn], Iterable[Step]]
"""Says what a turn does.  It ends with the first `Say`, `Fail` or `Hang`, or after the last step;
a generator makes each step when the one before it is over."""


def say_done(_: Turn) -> Iterable[Step]:
    """Reply "Done." to everything."""
    return (Say("Done."),)
