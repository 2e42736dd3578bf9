"""What callers of the runtime may have to handle.

ActorError
├── ActorDead, ActorCrashed, AskTimeout, DeadlockError     from ask
├── MailboxFull, StashFull, NameTaken
├── BadSpec, BadFlags
├── StartFailed, AlreadyStarted, AlreadyPresent,
│   TooManyChildren                                       from start_child
├── ChildNotFound, ChildRunning, ChildRestarting, NotSupported
└── SupervisorGaveUp                                       from open_system
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._ref import Ref


class ActorError(Exception):
    """Base of all errors of this package."""


class ActorDead(ActorError):
    """There is no incarnation, and none is coming by itself; or it ended before it answered."""


class ActorCrashed(ActorError):
    """It crashed with the question in hand; `__cause__` is the exception."""


class AskTimeout(ActorError):
    """No answer in time.  The message may be handled yet."""


class DeadlockError(ActorError):
    """An actor asked itself while it was receiving."""


class MailboxFull(ActorError):
    """The message was not taken."""


class StashFull(ActorError):
    """The stash holds as many messages as the mailbox may."""


class NameTaken(ActorError):
    """Another ref is registered under the name."""


class BadSpec(ActorError, ValueError):
    """A child specification is wrong; `field` says where."""

    def __init__(self, field: str, value: object, why: str = "not valid") -> None:
        super().__init__(f"{field}={value!r}: {why}")
        self.field = field
        self.value = value


class BadFlags(BadSpec):
    """A supervisor's flags are wrong; `field` names the flag."""


class StartFailed(ActorError):
    """The child named `child_id` did not start; `__cause__` is the reason, if there is one."""

    def __init__(self, child_id: object, why: str = "did not start") -> None:
        super().__init__(f"{child_id}: {why}")
        self.child_id = child_id


class AlreadyStarted(ActorError):
    """The id, or the name, belongs to a running child: `ref`."""

    def __init__(self, ref: Ref[Any]) -> None:
        super().__init__(f"{ref.path} is running")
        self.ref = ref


class AlreadyPresent(ActorError):
    """The id belongs to a child that is stopped or being restarted."""


class TooManyChildren(ActorError):
    """A dynamic supervisor has its `max_children`."""


class ChildNotFound(ActorError):
    """The supervisor has no such child."""


class ChildRunning(ActorError):
    """Only possible for a stopped child."""


class ChildRestarting(ActorError):
    """Only possible for a stopped child; this one is waiting to be started again."""


class NotSupported(ActorError):
    """This kind of supervisor, or of actor, cannot do that."""


class SupervisorGaveUp(ActorError):
    """Children crashed more often than the intensity allows.

    As an exception out of `open_system` it has the last crash as its `__cause__`.  It is also
    the `info` of the :class:`ShutdownExit` with which a supervisor that gives up ends.
    """

    def __init__(self, path: str, offender: str) -> None:
        super().__init__(f"{path} gave up: {offender} ended too often")
        self.path = path
        self.offender = offender
