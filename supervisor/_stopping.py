"""Stopping children: first asked, then cancelled, and always awaited."""

from __future__ import annotations

from collections.abc import Iterable

import trio

from ._cell import Cell
from ._events import Unkillable
from ._exits import Exit, Killed, Normal, ShutdownExit
from ._incarnation import Incarnation
from ._policy import Restart
from ._spec import Shutdown

PASSES_TO_DIE = 32
"""Rounds of trio's scheduler that a cancelled task may take before it is called unkillable."""


async def stop_together(cells: Iterable[Cell]) -> None:
    """Ask all *cells* to stop, at once; kill each that does not in its own time.

    Their ends are dealt with by this: supervisors do not hear of them again.
    """
    await see_off([each for each in map(ask_to_stop, cells) if each is not None])


def ask_to_stop(cell: Cell) -> Incarnation | None:
    """Ask *cell* to stop; return what is to be seen off, or None where nothing runs."""
    cell.call_off_retry()
    incarnation = cell.watched
    if incarnation is not None:
        incarnation.awaited = True
        _ask_to_stop(incarnation)
    return incarnation


async def see_off(incarnations: list[Incarnation]) -> None:
    """Wait for the ends of those that were asked to stop; kill who does not in its own time."""
    incarnations.sort(key=lambda incarnation: incarnation.deadline)
    for incarnation in incarnations:
        if incarnation.exit is None and not incarnation.killed:
            with trio.move_on_at(incarnation.deadline):
                await incarnation.until_ended()
        incarnation.kill()
    for incarnation in incarnations:
        await _until_dead(incarnation)
        _settle(incarnation)


async def kill_together(cells: Iterable[Cell]) -> None:
    """Cancel all *cells* that are left, and wait for them."""
    incarnations = [cell.watched for cell in cells if cell.watched is not None]
    for incarnation in incarnations:
        incarnation.awaited = True
        incarnation.kill()
    for incarnation in incarnations:
        await _until_dead(incarnation)
        incarnation.cell.watched = None
        incarnation.cell.state = "stopped"


def _ask_to_stop(incarnation: Incarnation) -> None:
    if incarnation.exit is not None:
        return
    shutdown = incarnation.cell.spec.shutdown
    if shutdown is Shutdown.BRUTAL_KILL:
        incarnation.kill()
    else:
        incarnation.shut(trio.current_time() + shutdown)


async def _until_dead(incarnation: Incarnation) -> None:
    cell = incarnation.cell
    # The levels below end one after the other.
    for _ in range(PASSES_TO_DIE * _levels(incarnation)):
        if incarnation.exit is not None:
            return
        await trio.lowlevel.checkpoint()
    supervisor = "" if cell.parent is None else cell.parent.path
    cell.system.emit(Unkillable(supervisor, cell.offender()))
    await incarnation.until_ended()


def _levels(incarnation: Incarnation | None) -> int:
    """How high the tree is that has *incarnation* at its top."""
    if incarnation is None or incarnation.actor is None:
        return 1
    below = incarnation.actor._below()  # noqa: SLF001
    return 1 + max((_levels(cell.incarnation) for cell in below), default=0)


def _settle(incarnation: Incarnation) -> None:
    cell = incarnation.cell
    cell.watched = None
    cell.state = "stopped"
    reason = incarnation.exit
    if reason is not None and not _as_it_should(cell, reason):
        cell.report_stop_error(reason)


def _as_it_should(cell: Cell, reason: Exit) -> bool:
    match reason:
        case ShutdownExit():
            return True
        case Killed():
            return cell.spec.shutdown is Shutdown.BRUTAL_KILL
        case Normal():
            return cell.spec.restart is not Restart.PERMANENT
        case _:
            return False
