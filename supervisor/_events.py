"""What supervisors tell about, as records."""

from __future__ import annotations

import logging
from typing import Any, TypeAlias

import attrs

from ._exits import Crash, Exit
from ._policy import Restart
from ._ref import Ref
from ._spec import Shutdown

LOG = logging.getLogger("mission_control.supervisor")


@attrs.frozen
class Offender:
    """The child that an event is about."""

    id: str
    ref: Ref[Any]
    incarnation: int
    restart: Restart
    shutdown: float | Shutdown
    kind: str


@attrs.frozen
class ChildStarted:
    """A child is up.  OTP's progress report; an incarnation above 1 is a restart."""

    supervisor: str
    offender: Offender


@attrs.frozen
class ChildTerminated:
    """A child ended by itself, in another way than as it should."""

    supervisor: str
    offender: Offender
    reason: Exit


@attrs.frozen
class StartError:
    """A child did not start, at first or again."""

    supervisor: str
    offender: Offender
    reason: Exit


@attrs.frozen
class ShutdownError:
    """A child that was told to stop ended in another way, or its stop hook failed."""

    supervisor: str
    offender: Offender
    reason: Exit


@attrs.frozen
class Unkillable:
    """A child runs on although it was cancelled; its supervisor waits for it."""

    supervisor: str
    offender: Offender


@attrs.frozen
class GaveUp:
    """A supervisor saw more restarts than its intensity allows, and ends."""

    supervisor: str
    offender: Offender
    reason: Exit


Event: TypeAlias = ChildStarted | ChildTerminated | StartError | ShutdownError | Unkillable | GaveUp


def log_event(event: Event) -> None:
    """Log *event* in one line, a crash with its traceback."""
    child = f"{event.offender.id} (no. {event.offender.incarnation})"
    match event:
        case ChildStarted():
            LOG.debug("%s: started %s", event.supervisor, child)
        case ChildTerminated(reason=reason):
            LOG.error("%s: %s ended, %s", event.supervisor, child, reason, exc_info=_error(reason))
        case StartError(reason=reason):
            LOG.error(
                "%s: %s did not start, %s", event.supervisor, child, reason, exc_info=_error(reason)
            )
        case ShutdownError(reason=reason):
            LOG.error(
                "%s: %s stopped badly, %s", event.supervisor, child, reason, exc_info=_error(reason)
            )
        case Unkillable():
            LOG.critical("%s: %s was cancelled but runs on", event.supervisor, child)
        case GaveUp(reason=reason):
            LOG.critical("%s: gave up, %s ended too often: %s", event.supervisor, child, reason)


def _error(reason: Exit) -> BaseException | None:
    return reason.error if isinstance(reason, Crash) else None
