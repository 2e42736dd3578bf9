"""How an incarnation ended, and how a monitor hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

if TYPE_CHECKING:
    from ._ref import Ref


@attrs.frozen
class Normal:
    """It had nothing left to do."""

    def __str__(self) -> str:
        return "normal"


@attrs.frozen
class ShutdownExit:
    """It was asked to stop, or ended on purpose.  OTP's `shutdown` and `{shutdown, Info}`."""

    info: object = None

    def __str__(self) -> str:
        return "shutdown" if self.info is None else f"shutdown: {self.info}"


@attrs.frozen
class Killed:
    """It was cancelled without being asked, or did not stop in time."""

    def __str__(self) -> str:
        return "killed"


@attrs.frozen(eq=False)
class Crash:
    """It raised."""

    error: BaseException

    def __str__(self) -> str:
        return f"crash: {type(self.error).__name__}: {self.error}"


Exit: TypeAlias = Normal | ShutdownExit | Killed | Crash


@attrs.frozen
class Down:
    """The one notice that a monitor gets."""

    ref: Ref[Any]
    incarnation: int
    """Which one ended; 0 where none ever ran."""
    exit: Exit | None
    """None where none ever ran: OTP's `noproc`."""
    final: bool
    """The supervisor does not start it again by itself."""


def collapse(error: BaseException) -> BaseException:
    """Peel groups of one: their depth says how many nurseries were crossed, and no more."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
