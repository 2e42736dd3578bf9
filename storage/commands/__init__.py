"""Every change there is, as a value.  One module a noun; each command says what it refuses."""

from .agents import (
    CreateAgent,
    DestroyAgent,
    RecordSession,
    SendMessage,
    SetAgentStatus,
    check_soul_name,
)
from .help import AnswerHelp, RequestHelp
from .memory import DistillMemory, LogEvent, UpdateChronicle
from .projects import InitProject, InstallSoul, RenameProject, SetProjectState
from .pulses import HALTED, BeginPulse, EndPulse, MarkRunning
from .tasks import AssignTask, CreateTask, DeleteTask, MoveTask, UpdateTask

__all__ = [
    "HALTED",
    "AnswerHelp",
    "AssignTask",
    "BeginPulse",
    "CreateAgent",
    "CreateTask",
    "DeleteTask",
    "DestroyAgent",
    "DistillMemory",
    "EndPulse",
    "InitProject",
    "InstallSoul",
    "LogEvent",
    "MarkRunning",
    "MoveTask",
    "RecordSession",
    "RenameProject",
    "RequestHelp",
    "SendMessage",
    "SetAgentStatus",
    "SetProjectState",
    "UpdateChronicle",
    "UpdateTask",
    "check_soul_name",
]
