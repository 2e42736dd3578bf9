"""Every change there is, as a value.  One module a noun; each command says what it refuses."""

from .agents import (
    CreateAgent,
    DestroyAgent,
    SendMessage,
    SetAgentStatus,
    check_soul_name,
)
from .help import AnswerHelp, RequestHelp
from .history import MAX_TRIMMED, TrimLog
from .memory import DistillMemory, LogEvent, UpdateChronicle
from .mirrors import NoteMirrors
from .projects import InitProject, InstallSoul, RenameProject, SetProjectState
from .pulses import HALTED, BeginPulse, EndPulse, MarkRunning
from .sessions import RETIRED, ForgetSession, RecordSession, RetireSession
from .tasks import AssignTask, CreateTask, DeleteTask, MoveTask, UpdateTask
from .upkeep import PURGED_AT_ONCE, PurgeIdempotency

__all__ = [
    "HALTED",
    "MAX_TRIMMED",
    "PURGED_AT_ONCE",
    "RETIRED",
    "AnswerHelp",
    "AssignTask",
    "BeginPulse",
    "CreateAgent",
    "CreateTask",
    "DeleteTask",
    "DestroyAgent",
    "DistillMemory",
    "EndPulse",
    "ForgetSession",
    "InitProject",
    "InstallSoul",
    "LogEvent",
    "MarkRunning",
    "MoveTask",
    "NoteMirrors",
    "PurgeIdempotency",
    "RecordSession",
    "RenameProject",
    "RequestHelp",
    "RetireSession",
    "SendMessage",
    "SetAgentStatus",
    "SetProjectState",
    "TrimLog",
    "UpdateChronicle",
    "UpdateTask",
    "check_soul_name",
]
