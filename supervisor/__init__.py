"""An actor runtime on trio, with the supervision of Erlang/OTP."""

from __future__ import annotations

from ._actor import (
    Actor,
)
from ._admin import (
    ChildCounts,
    ChildInfo,
    SupervisorRef,
    SupervisorSpec,
)
from ._context import (
    Context,
    Inbox,
)
from ._dead_letters import (
    DeadLetter,
    DeadLetters,
)
from ._deferred import (
    Deferred,
    Reply,
)
from ._dynamic import (
    DynamicSupervisor,
)
from ._errors import (
    ActorCrashed,
    ActorDead,
    ActorError,
    AlreadyPresent,
    AlreadyStarted,
    AskTimeout,
    BadFlags,
    BadSpec,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    DeadlockError,
    MailboxFull,
    NameTaken,
    NotSupported,
    StartFailed,
    StashFull,
    SupervisorGaveUp,
    TooManyChildren,
)
from ._events import (
    ChildStarted,
    ChildTerminated,
    Event,
    GaveUp,
    Offender,
    ShutdownError,
    StartError,
    Unkillable,
)
from ._exits import (
    Crash,
    Down,
    Exit,
    Killed,
    Normal,
    ShutdownExit,
)
from ._guest import run_guest
from ._links import (
    Link,
)
from ._monitor import (
    DownWaiter,
    Monitor,
)
from ._policy import (
    AutoShutdown,
    Backoff,
    Intensity,
    Restart,
    Strategy,
)
from ._portal import Portal, open_portal
from ._ref import (
    Ref,
)
from ._spec import (
    IGNORE,
    ChildSpec,
    Shutdown,
)
from ._supervisor import (
    Supervisor,
)
from ._system import (
    System,
    open_system,
)
from ._timers import (
    Timer,
)
from ._tracing import (
    Traced,
)
from ._tree import (
    TreeNode,
)

__all__ = [
    "IGNORE",
    "Actor",
    "ActorCrashed",
    "ActorDead",
    "ActorError",
    "AlreadyPresent",
    "AlreadyStarted",
    "AskTimeout",
    "AutoShutdown",
    "Backoff",
    "BadFlags",
    "BadSpec",
    "ChildCounts",
    "ChildInfo",
    "ChildNotFound",
    "ChildRestarting",
    "ChildRunning",
    "ChildSpec",
    "ChildStarted",
    "ChildTerminated",
    "Context",
    "Crash",
    "DeadLetter",
    "DeadLetters",
    "DeadlockError",
    "Deferred",
    "Down",
    "DownWaiter",
    "DynamicSupervisor",
    "Event",
    "Exit",
    "GaveUp",
    "Inbox",
    "Intensity",
    "Killed",
    "Link",
    "MailboxFull",
    "Monitor",
    "NameTaken",
    "Normal",
    "NotSupported",
    "Offender",
    "Portal",
    "Ref",
    "Reply",
    "Restart",
    "Shutdown",
    "ShutdownError",
    "ShutdownExit",
    "StartError",
    "StartFailed",
    "StashFull",
    "Strategy",
    "Supervisor",
    "SupervisorGaveUp",
    "SupervisorRef",
    "SupervisorSpec",
    "System",
    "Timer",
    "TooManyChildren",
    "Traced",
    "TreeNode",
    "Unkillable",
    "open_portal",
    "open_system",
    "run_guest",
]
