"""Specifications of children."""

from __future__ import annotations

import enum
import inspect
import math
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs

from ._errors import BadSpec
from ._policy import AutoShutdown, Backoff, Restart

if TYPE_CHECKING:
    from ._actor import Actor

Start: TypeAlias = "type[Actor[Any]] | Callable[..., Awaitable[object]]"


Overflow: TypeAlias = Literal["fail", "drop_new", "drop_old", "block", "replace_key"]


class Ignore(enum.Enum):
    """Type of :data:`IGNORE`."""

    IGNORE = "ignore"


IGNORE: Final = Ignore.IGNORE
"""Returned by `started`: this child is not needed, and that is no error."""


class Shutdown(enum.Enum):
    """Ways to stop a child other than with a time limit."""

    BRUTAL_KILL = "brutal_kill"
    """Cancel it at once; its stop hook does not run."""


@attrs.frozen
class ChildSpec:
    """How to start, restart and stop one child.

    Raises:
        BadSpec: a field is wrong.
    """

    id: str
    start: Start
    """An :class:`Actor` subclass, or an async function that takes a :class:`Context` first."""
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = MappingProxyType({})
    restart: Restart = Restart.PERMANENT
    shutdown: float | Shutdown = 5.0
    """Seconds between being asked to stop and being killed."""
    significant: bool = False
    capacity: float = 1024
    """Messages in the mailbox; `math.inf` for no limit."""
    overflow: Overflow = "fail"
    """What `tell` does when the mailbox is full.  `send` and `ask` wait under each of them.

    With "block" a `tell` raises as with "fail": it marks actors to be reached by `send`.
    With "replace_key" a message takes the place of a queued one of the same `key`.
    """
    key: Callable[[Any], object] | None = None
    """For "replace_key": what makes a message the successor of another.  `tell` calls it."""
    mailbox: Literal["keep", "drop"] = "keep"
    """Whether queued messages wait for the next incarnation."""
    interrupt: bool = True
    """A stop cancels what `receive` awaits, instead of waiting for it to return."""
    backoff: Backoff | None = None
    lane: Literal["own", "shared"] = "own"
    """Whether it has a task of its own, or takes turns with others in one.

    "shared" is for an :class:`Actor` whose `receive` is a plain function.  It behaves the same,
    weighs a fifth, and is asked without a task switch while it is idle.  It is for supervisors
    too: they have a task while they start, stop or restart a child.
    """
    register: str | Callable[..., str] | None = None
    """A name for the ref, from before `started` until the child is stopped for good.

    A function makes it of `args`, for a specification that many children share.
    """

    def __attrs_post_init__(self) -> None:
        for field, (valid, why) in _RULES.items():
            value = getattr(self, field)
            if not valid(value):
                raise BadSpec(field, value, why)
        if (self.key is not None) != (self.overflow == "replace_key"):
            raise BadSpec("key", self.key, f"overflow is {self.overflow}")
        if self.lane == "shared" and self.kind == "worker" and not _is_plain(self.start):
            raise BadSpec("lane", self.lane, "only for an Actor whose receive is a plain function")
        if self.significant and self.restart is Restart.PERMANENT:
            raise BadSpec("significant", value=True, why="a permanent child is never missed")

    @property
    def kind(self) -> Literal["worker", "supervisor"]:
        """What it starts."""
        return "worker"

    def name_of(self, args: tuple[Any, ...]) -> str | None:
        """Return the name to register for a child with these *args*.

        Raises:
            BadSpec: `register` makes none of them.
        """
        if not callable(self.register):
            return self.register
        try:
            name = self.register(*args)
        except Exception as error:  # a user's function, in the middle of a supervisor's work
            raise BadSpec("register", self.register, f"of {args} it makes {error!r}") from error
        if not _is_name(name):
            raise BadSpec("register", name, f"made of {args}, and not a text")
        return name


def _is_start(value: object) -> bool:
    from ._actor import Actor  # noqa: PLC0415 - an actor's context knows specifications

    if isinstance(value, type):
        return issubclass(value, Actor)
    return callable(value) and (
        inspect.iscoroutinefunction(value)
        or inspect.iscoroutinefunction(getattr(value, "__call__", None))  # noqa: B004
    )


def _is_plain(start: object) -> bool:
    return isinstance(start, type) and not inspect.iscoroutinefunction(
        getattr(start, "receive", None)
    )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_shutdown(value: object) -> bool:
    if isinstance(value, Shutdown):
        return True
    return type(value) in {int, float} and 0 <= value <= math.inf  # type: ignore[operator]


def _is_capacity(value: object) -> bool:
    return value == math.inf or (type(value) is int and value > 0)


_RULES: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "id": (lambda v: isinstance(v, str) and bool(v), "a text"),
    "start": (_is_start, "an Actor subclass or an async function"),
    "args": (lambda v: isinstance(v, tuple), "a tuple"),
    "kwargs": (lambda v: isinstance(v, Mapping), "a mapping"),
    "restart": (lambda v: isinstance(v, Restart), "a Restart"),
    "shutdown": (_is_shutdown, "seconds, or Shutdown.BRUTAL_KILL"),
    "significant": (lambda v: isinstance(v, bool), "True or False"),
    "capacity": (_is_capacity, "a whole number above 0, or math.inf"),
    "overflow": (
        lambda v: v in {"fail", "drop_new", "drop_old", "block", "replace_key"},
        "fail, drop_new, drop_old, block or replace_key",
    ),
    "key": (lambda v: v is None or callable(v), "a function of a message"),
    "mailbox": (lambda v: v in {"keep", "drop"}, "keep or drop"),
    "interrupt": (lambda v: isinstance(v, bool), "True or False"),
    "backoff": (lambda v: v is None or isinstance(v, Backoff), "a Backoff"),
    "lane": (lambda v: v in {"own", "shared"}, "own or shared"),
    "register": (lambda v: v is None or callable(v) or _is_name(v), "a text, or a function"),
}


def check_specs(specs: tuple[ChildSpec, ...], auto_shutdown: AutoShutdown) -> None:
    """Check what only shows for several children together.

    Raises:
        BadSpec: two ids are equal, or a child is significant to a supervisor that never minds.
    """
    seen = set()
    for spec in specs:
        if not isinstance(spec, ChildSpec):
            raise BadSpec("specs", spec, "a ChildSpec each")
        if spec.id in seen:
            raise BadSpec("id", spec.id, "given twice")
        seen.add(spec.id)
        if spec.significant and auto_shutdown is AutoShutdown.NEVER:
            raise BadSpec("significant", value=True, why="auto_shutdown is never")
