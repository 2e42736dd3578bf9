"""The dynamic supervisor: any number of children that know nothing of each other."""

from __future__ import annotations

import contextvars
import itertools
import math
from typing import Any, Literal, cast

from ._admin import (
    Admin,
    ChildCounts,
    DeleteChild,
    GetSpec,
    Reconfigure,
    RestartChild,
    StartChild,
    SupervisorRef,
    SupervisorSpec,
    TerminateChild,
)
from ._cell import Cell
from ._deferred import Deferred
from ._errors import (
    BadFlags,
    BadSpec,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    NotSupported,
    TooManyChildren,
)
from ._family import Family
from ._flags import Flags
from ._incarnation import Incarnation
from ._mailbox import PENDING
from ._policy import AutoShutdown, Backoff, Intensity, Restart, Strategy
from ._ref import Ref
from ._spec import ChildSpec, Shutdown, check_specs
from ._stopping import ask_to_stop, see_off, stop_together


class DynamicSupervisor(Family):
    """Starts children on request, and stops them all at once.

    With a *template* it is OTP's `simple_one_for_one`: children are made of the template and
    further arguments, and are known by their refs only.  Without one it is Elixir's
    `DynamicSupervisor`, except that ids are unique.
    """

    def __init__(self, flags: Flags, template: ChildSpec | None, max_children: float) -> None:
        super().__init__(flags)
        self._template = template
        self._max_children = max_children
        self._numbers = itertools.count(1)
        self._leaving: set[Cell] = set()
        """Who is terminated, and has not ended yet."""

    @classmethod
    def spec(  # noqa: PLR0913 - OTP's flags and child specification in one
        cls,
        id: str,  # noqa: A002 - as in ChildSpec
        *,
        template: ChildSpec | None = None,
        max_children: float = math.inf,
        intensity: Intensity = Intensity(),  # noqa: B008 - immutable
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
        restart: Restart = Restart.PERMANENT,
        shutdown: float | Shutdown = math.inf,
        significant: bool = False,
        backoff: Backoff | None = None,
        lane: Literal["own", "shared"] = "own",
        register: str | None = None,
    ) -> SupervisorSpec:
        """Specify a dynamic supervisor as a child.

        With *max_children*, of whatever state, `start_child` raises TooManyChildren.

        Raises:
            BadSpec, BadFlags: a field or flag is wrong.
        """
        flags = Flags(Strategy.ONE_FOR_ONE, intensity, auto_shutdown)
        if max_children != math.inf and (type(max_children) is not int or max_children < 0):
            raise BadFlags("max_children", max_children, "a whole number, or math.inf")
        if template is not None:
            check_specs((template,), auto_shutdown)
            if isinstance(template.register, str):
                raise BadSpec("register", template.register, "one name for many children")
        return SupervisorSpec(
            id,
            cls,
            (flags, template, max_children),
            restart=restart,
            shutdown=shutdown,
            significant=significant,
            capacity=math.inf,
            backoff=backoff,
            lane=lane,
            register=register,
        )

    def _new_child(
        self, spec: ChildSpec | None, args: tuple[Any, ...], context: contextvars.Context
    ) -> Cell:
        if len(self._cells) >= self._max_children:
            raise TooManyChildren(f"{self.ctx.path} has {len(self._cells)} children")
        template = self._template
        if template is not None:
            parent = cast("SupervisorRef", self.ctx.self)
            number = f"{template.id}-{next(self._numbers)}"
            return Cell(
                self.ctx.system,
                parent,
                template,
                context,
                self,
                template_id=number,
                more_args=args,
            )
        if spec is None:
            raise BadSpec("spec", args, "one ChildSpec: there is no template")
        check_specs((spec,), self._flags.auto_shutdown)
        return self._cell_of(spec, context)

    def start_now(self, request: StartChild) -> Any:
        """As in a family; but while a child is on its way out it may have to wait for that."""
        return PENDING if self._leaving else super().start_now(request)

    async def _administer(self, message: Admin) -> object:
        if self._leaving and self._waits_for_an_end(message):
            self.ctx.stash()
            return None
        return await super()._administer(message)

    def _waits_for_an_end(self, message: Admin) -> bool:
        """Whether what is asked is about a child on its way out, or about its place."""
        match message:
            case StartChild(spec):
                full = len(self._cells) >= self._max_children
                return full or (spec is not None and self._cells.get(spec.id) in self._leaving)
            case TerminateChild(child) | RestartChild(child) | DeleteChild(child) | GetSpec(child):
                known = child if isinstance(child, str) else child._cell.id  # noqa: SLF001
                return self._cells.get(known) in self._leaving
            case _:
                return False

    async def _terminate(self, child: str | Ref[Any]) -> None:
        # Beside: its siblings know nothing of it, and what is asked about them need not wait.
        cell = self._find(child)
        self._leaving.add(cell)
        self.ctx.start_soon(self._see_off, cell, ask_to_stop(cell), self.ctx.defer())

    async def _see_off(self, cell: Cell, incarnation: Incarnation | None, answer: Deferred) -> None:
        if incarnation is not None:
            await see_off([incarnation])
        self._forget(cell)
        self._leaving.discard(cell)
        answer.answer()
        self.ctx.unstash_all()

    def _find(self, child: str | Ref[Any]) -> Cell:
        if isinstance(child, str) and self._template is not None:
            raise NotSupported("children made of a template are known by their refs")
        return super()._find(child)

    async def _start_again(self, child: str | Ref[Any]) -> Ref[Any] | None:
        raise NotSupported(f"{child!r}: a dynamic supervisor keeps no stopped children")

    def _delete(self, child: str | Ref[Any]) -> None:
        try:
            cell = self._find(child)
        except ChildNotFound:
            return  # whoever was terminated is forgotten already
        raise ChildRestarting(cell.path) if cell.state == "restarting" else ChildRunning(cell.path)

    def _spec_of(self, child: str | Ref[Any]) -> ChildSpec:
        cell = self._find(child)
        return cell.spec if self._template is None else self._template

    def _counts(self) -> ChildCounts:
        cells = list(self._below())
        supervisors = sum(cell.spec.kind == "supervisor" for cell in cells)
        active = sum(cell.incarnation is not None for cell in cells)
        specs = len(cells) if self._template is None else 1
        return ChildCounts(specs, active, supervisors, len(cells) - supervisors)

    def _retire(self, cell: Cell) -> None:
        self._forget(cell)

    async def _restart_group(self, cell: Cell) -> None:
        await self._start_or_retry(cell)

    def _restarts_alone(self) -> bool:
        return True

    async def _stop_all(self) -> None:
        await stop_together(list(self._below()))

    def _reconfigure(self, change: Reconfigure) -> None:
        if change.strategy not in {None, Strategy.ONE_FOR_ONE}:
            raise BadFlags("strategy", change.strategy, "a dynamic supervisor is one_for_one")
        intensity = change.intensity or self._flags.intensity
        auto_shutdown = change.auto_shutdown or self._flags.auto_shutdown
        flags = Flags(Strategy.ONE_FOR_ONE, intensity, auto_shutdown)
        template = self._template
        if change.specs is not None:
            if template is None:
                raise NotSupported("there is no template to replace")
            if len(change.specs) != 1:
                raise BadSpec("specs", change.specs, "one template")
            template = change.specs[0]
        if template is not None:
            check_specs((template,), auto_shutdown)
        self._template = template
        self._flags = flags
        self._window.intensity = flags.intensity
