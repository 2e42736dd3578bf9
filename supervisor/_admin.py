"""What one can ask a supervisor, and the ref that asks it."""

from __future__ import annotations

import contextvars
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, overload

import attrs
from trio.lowlevel import cancel_shielded_checkpoint, checkpoint_if_cancelled

from ._mailbox import PENDING
from ._policy import AutoShutdown, Intensity, Strategy
from ._ref import Ref
from ._spec import ChildSpec

if TYPE_CHECKING:
    from ._family import Family


@attrs.frozen
class SupervisorSpec(ChildSpec):
    """The specification of a supervisor; made by `Supervisor.spec`."""

    @property
    def kind(self) -> Literal["worker", "supervisor"]:
        """What it starts."""
        return "supervisor"


@attrs.frozen
class ChildInfo:
    """A child as its supervisor knows it."""

    id: str
    ref: Ref[Any]
    state: Literal["running", "restarting", "stopped"]
    kind: Literal["worker", "supervisor"]
    incarnation: int


@attrs.frozen
class ChildCounts:
    """Numbers of children; `supervisors` and `workers` count them running or not."""

    specs: int
    active: int
    supervisors: int
    workers: int


@attrs.frozen
class StartChild:
    """Add a child and start it."""

    spec: ChildSpec | None
    """None: made of the template with *args*."""
    args: tuple[Any, ...]
    context: contextvars.Context


@attrs.frozen
class TerminateChild:
    """Stop a child, and keep its specification."""

    child: str | Ref[Any]


@attrs.frozen
class RestartChild:
    """Start a stopped child."""

    child: str | Ref[Any]


@attrs.frozen
class DeleteChild:
    """Forget a stopped child."""

    child: str | Ref[Any]


@attrs.frozen
class GetSpec:
    """Tell a child's specification."""

    child: str | Ref[Any]


@attrs.frozen
class Children:
    """Tell of all children."""


@attrs.frozen
class CountChildren:
    """Count the children."""


@attrs.frozen
class Reconfigure:
    """Change flags and specifications; what is None stays."""

    specs: tuple[ChildSpec, ...] | None
    strategy: Strategy | None
    intensity: Intensity | None
    auto_shutdown: AutoShutdown | None


Admin: TypeAlias = (
    StartChild
    | TerminateChild
    | RestartChild
    | DeleteChild
    | GetSpec
    | Children
    | CountChildren
    | Reconfigure
)


class SupervisorRef(Ref[Any]):
    """The ref of a supervisor.

    A supervisor does one thing at a time: while it starts a child, calls wait.  They wait for
    as long as it takes; put a cancel scope around one that should not.  A dynamic supervisor
    does not let them wait while it terminates a child.  All raise ActorDead
    when there is no supervisor, or it ends meanwhile.
    """

    __slots__ = ()

    @overload
    async def start_child(self, spec: SupervisorSpec, /) -> SupervisorRef: ...
    @overload
    async def start_child(self, spec: ChildSpec, /) -> Any: ...
    @overload
    async def start_child(self, /, *args: Any) -> Any: ...
    async def start_child(self, /, *args: Any) -> Any:
        """Add a child, and return its ref once it has started, or None where it ignored that.

        A dynamic supervisor with a template takes arguments to append to the template's.

        Raises:
            AlreadyStarted: the id is running, or the name it registers is another's.
            AlreadyPresent: the id is known, but not running.
            StartFailed: it did not start; nothing is kept of it.
            BadSpec: the specification does not suit this supervisor.
        """
        spec = args[0] if len(args) == 1 and isinstance(args[0], ChildSpec) else None
        request = StartChild(spec, args, contextvars.copy_context())
        await checkpoint_if_cancelled()
        child = self._start_now(request)
        if child is PENDING:
            return await self.ask(request, timeout=None)
        if self.system.dispatcher.owes_checkpoint():
            await cancel_shielded_checkpoint()
        return child

    def _start_now(self, request: StartChild) -> Any:
        incarnation, mailbox = self._cell.incarnation, self._mailbox
        if (
            incarnation is None
            or not incarnation.waits_for_mail
            or mailbox.suspended
            or mailbox.tracer is not None
        ):
            return PENDING
        return cast("Family", incarnation.actor).start_now(request)

    async def terminate_child(self, child: str | Ref[Any]) -> None:
        """Stop a child; one that is stopped already stays so, and a restart is called off.

        Raises:
            ChildNotFound: there is none.
        """
        await self.ask(TerminateChild(child), timeout=None)

    async def restart_child(self, child: str | Ref[Any]) -> Any:
        """Start a stopped child, and return its ref, or None where it ignored that.

        Raises:
            ChildNotFound, ChildRunning, ChildRestarting: it is not a stopped child.
            StartFailed: it did not start, and stays stopped.
        """
        return await self.ask(RestartChild(child), timeout=None)

    async def delete_child(self, child: str | Ref[Any]) -> None:
        """Forget a stopped child.

        Raises:
            ChildNotFound, ChildRunning, ChildRestarting: it is not a stopped child.
        """
        await self.ask(DeleteChild(child), timeout=None)

    async def get_spec(self, child: str | Ref[Any]) -> ChildSpec:
        """Return a child's specification; under a template, the template.

        Raises:
            ChildNotFound: there is none.
        """
        return cast("ChildSpec", await self.ask(GetSpec(child), timeout=None))

    async def children(self) -> list[ChildInfo]:
        """Return all children, newest first."""
        return cast("list[ChildInfo]", await self.ask(Children(), timeout=None))

    async def count_children(self) -> ChildCounts:
        """Count the children."""
        return cast("ChildCounts", await self.ask(CountChildren(), timeout=None))

    async def reconfigure(
        self,
        *,
        specs: Sequence[ChildSpec] | None = None,
        strategy: Strategy | None = None,
        intensity: Intensity | None = None,
        auto_shutdown: AutoShutdown | None = None,
    ) -> None:
        """Change flags and specifications, all or nothing.

        Running children keep running; what is new of their specification holds from now on, or
        from their next start.  New children are not started; missing ones are kept.

        Raises:
            BadSpec, BadFlags: nothing was changed.
            NotSupported: a dynamic supervisor has no list of specifications.
        """
        given = None if specs is None else tuple(specs)
        await self.ask(Reconfigure(given, strategy, intensity, auto_shutdown), timeout=None)
