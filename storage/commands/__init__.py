"""Every change there is, as a value.  One module a noun; each command says what it refuses."""

from ._messages import LONGEST_BACKOFF_S
from ._streaks import LOST_EXCUSED
from .agents import (
    CreateAgent,
    DestroyAgent,
    SendMessage,
    SetAgentStatus,
    UpgradeAgent,
    check_soul_name,
)
from .budgets import (
    BUDGET_CHARGED,
    BUDGET_SHORT,
    BUDGET_SPENT,
    WARN_AT,
    SetBudget,
    level_on,
)
from .erasure import EraseProject
from .files import FILE_EVENT, NoteFileChange, SettleFileChange
from .help import AnswerHelp, NoteTold, RequestHelp
from .history import MAX_TRIMMED, TrimLog
from .memory import DistillMemory, LogEvent, UpdateChronicle
from .mirrors import NoteMirrors
from .projects import BeginDeletion, InitProject, InstallSoul, RenameProject, SetProjectState
from .pulses import HALTED, BeginPulse, EndPulse, MarkRunning, longest_wait
from .schedule import LONGEST_S, MOST_RETRIES, SHORTEST_S, SchedulePulses
from .sessions import RETIRED, ForgetSession, RecordSession, RetireSession
from .tasks import AssignTask, CreateTask, DeleteTask, HandOffTask, MoveTask, UpdateTask
from .upkeep import PURGED_AT_ONCE, PurgeIdempotency

__all__ = [
    "BUDGET_CHARGED",
    "BUDGET_SHORT",
    "BUDGET_SPENT",
    "FILE_EVENT",
    "HALTED",
    "LONGEST_BACKOFF_S",
    "LONGEST_S",
    "LOST_EXCUSED",
    "MAX_TRIMMED",
    "MOST_RETRIES",
    "PURGED_AT_ONCE",
    "RETIRED",
    "SHORTEST_S",
    "WARN_AT",
    "AnswerHelp",
    "AssignTask",
    "BeginDeletion",
    "BeginPulse",
    "CreateAgent",
    "CreateTask",
    "DeleteTask",
    "DestroyAgent",
    "DistillMemory",
    "EndPulse",
    "EraseProject",
    "ForgetSession",
    "HandOffTask",
    "InitProject",
    "InstallSoul",
    "LogEvent",
    "MarkRunning",
    "MoveTask",
    "NoteFileChange",
    "NoteMirrors",
    "NoteTold",
    "PurgeIdempotency",
    "RecordSession",
    "RenameProject",
    "RequestHelp",
    "RetireSession",
    "SchedulePulses",
    "SendMessage",
    "SetAgentStatus",
    "SetBudget",
    "SetProjectState",
    "SettleFileChange",
    "TrimLog",
    "UpdateChronicle",
    "UpdateTask",
    "UpgradeAgent",
    "check_soul_name",
    "level_on",
    "longest_wait",
]
