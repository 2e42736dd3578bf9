"""The static supervisor: named children in an order."""

from __future__ import annotations

import contextvars
import math
from collections.abc import Iterable
from typing import Any, Literal

import attrs

from ._admin import ChildCounts, Reconfigure, SupervisorSpec
from ._cell import Cell
from ._errors import AlreadyStarted, BadSpec, ChildRestarting, ChildRunning, StartFailed
from ._family import Family
from ._flags import Flags
from ._policy import AutoShutdown, Backoff, Intensity, Restart, Strategy
from ._ref import Ref
from ._spec import ChildSpec, Shutdown, check_specs
from ._stopping import stop_together


class Supervisor(Family):
    """Starts its children in order, stops them in reverse, and starts again what crashed."""

    def __init__(
        self, flags: Flags, specs: tuple[ChildSpec, ...], args: tuple[Any, ...] = ()
    ) -> None:
        super().__init__(flags)
        self._specs = specs
        self._args = args

    @classmethod
    def spec(  # noqa: PLR0913 - OTP's flags and child specification in one
        cls,
        id: str,  # noqa: A002 - as in ChildSpec
        children: Iterable[ChildSpec] = (),
        *,
        args: tuple[Any, ...] = (),
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: Intensity = Intensity(),  # noqa: B008 - immutable
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
        restart: Restart = Restart.PERMANENT,
        shutdown: float | Shutdown = math.inf,
        significant: bool = False,
        backoff: Backoff | None = None,
        lane: Literal["own", "shared"] = "own",
        register: str | None = None,
    ) -> SupervisorSpec:
        """Specify a supervisor as a child.

        Each of its children is given *args* after its own: so a thousand supervisors that differ
        in nothing else share the specifications of their children.

        Raises:
            BadSpec, BadFlags: a field or flag is wrong.
        """
        specs = tuple(children)
        flags = Flags(strategy, intensity, auto_shutdown)
        check_specs(specs, auto_shutdown)
        return SupervisorSpec(
            id,
            cls,
            (flags, specs, args),
            restart=restart,
            shutdown=shutdown,
            significant=significant,
            capacity=math.inf,
            backoff=backoff,
            lane=lane,
            register=register,
        )

    async def started(self) -> object:
        """Start the children; if one fails, the ones before are stopped and it is raised."""
        context = contextvars.copy_context()  # one for all: each incarnation copies it
        for spec in self._specs:
            cell = self._cells[spec.id] = self._cell_of(spec, context)
            try:
                await self._start(cell)
            except AlreadyStarted as taken:
                raise StartFailed(spec.id, str(taken)) from taken
        return None

    def _new_child(
        self, spec: ChildSpec | None, args: tuple[Any, ...], context: contextvars.Context
    ) -> Cell:
        if spec is None:
            raise BadSpec("spec", args, "one ChildSpec")
        check_specs((spec,), self._flags.auto_shutdown)
        return self._cell_of(spec, context)

    async def _terminate(self, child: str | Ref[Any]) -> None:
        cell = self._find(child)
        was_restarting = cell.state == "restarting"
        await self._stop_one(cell)
        cell.settle(final=True)
        if was_restarting:
            self._let_group_go()
        if cell.spec.restart is Restart.TEMPORARY:
            self._forget(cell)

    def _let_group_go(self) -> None:
        """Let go of those that were waiting for the restart of a sibling to succeed."""
        for cell in self._below():
            if cell.state == "stopped":
                cell.settle(final=True)

    async def _start_again(self, child: str | Ref[Any]) -> Ref[Any] | None:
        cell = self._find_stopped(child)
        try:
            return await self._start(cell)
        except (StartFailed, AlreadyStarted):
            cell.settle(final=True)
            raise

    def _delete(self, child: str | Ref[Any]) -> None:
        self._forget(self._find_stopped(child))

    def _find_stopped(self, child: str | Ref[Any]) -> Cell:
        cell = self._find(child)
        match cell.state:
            case "running":
                raise ChildRunning(cell.path)
            case "restarting":
                raise ChildRestarting(cell.path)
            case "stopped":
                return cell

    def _counts(self) -> ChildCounts:
        cells = list(self._below())
        supervisors = sum(cell.spec.kind == "supervisor" for cell in cells)
        active = sum(cell.incarnation is not None for cell in cells)
        return ChildCounts(len(cells), active, supervisors, len(cells) - supervisors)

    def _retire(self, cell: Cell) -> None:
        if cell.spec.restart is Restart.TEMPORARY:
            self._forget(cell)

    async def _restart_group(self, cell: Cell) -> None:
        group = self._group(cell)
        for other in reversed(group):
            if other is cell:
                continue
            await self._stop_one(other)
            if other.spec.restart is Restart.TEMPORARY:
                self._forget(other)
            else:
                other.settle(final=False)
        for member in group:
            if member is not cell and member.spec.restart is Restart.TEMPORARY:
                continue
            if not await self._start_or_retry(member):
                return

    def _group(self, cell: Cell) -> list[Cell]:
        cells = list(self._below())
        match self._flags.strategy:
            case Strategy.ONE_FOR_ONE:
                return [cell]
            case Strategy.ONE_FOR_ALL:
                return cells
            case Strategy.REST_FOR_ONE:
                return cells[cells.index(cell) :]

    def _restarts_alone(self) -> bool:
        return self._flags.strategy is Strategy.ONE_FOR_ONE

    async def _stop_one(self, cell: Cell) -> None:
        await stop_together([cell])
        cell.state = "stopped"

    async def _stop_all(self) -> None:
        for cell in reversed(list(self._below())):
            await self._stop_one(cell)
            cell.settle(final=True)

    def _reconfigure(self, change: Reconfigure) -> None:
        given = change.specs or ()
        check_specs(given, AutoShutdown.ANY_SIGNIFICANT)  # alone: are the ids unique?
        flags = _changed(self._flags, change)
        merged = {cell.spec.id: cell.spec for cell in self._below()} | {s.id: s for s in given}
        check_specs(tuple(merged.values()), flags.auto_shutdown)
        for spec in given:
            known = self._cells.get(spec.id)
            if known is not None and known.spec.kind != spec.kind:
                raise BadSpec("start", spec.start, f"{spec.id} is a {known.spec.kind}")
        self._flags = flags
        self._window.intensity = flags.intensity
        for spec in given:
            known = self._cells.get(spec.id)
            if known is None:
                self._cells[spec.id] = self._cell_of(spec, contextvars.copy_context())
            else:
                known.change(spec, self._args)


def _changed(flags: Flags, change: Reconfigure) -> Flags:
    changes = {
        name: value
        for name in ("strategy", "intensity", "auto_shutdown")
        if (value := getattr(change, name)) is not None
    }
    return attrs.evolve(flags, **changes)
