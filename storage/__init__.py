"""What lasts: records, commands, the one writer, and the files that must be whole."""

from ._actor import NAME as STORAGE
from ._actor import StorageActor, Store
from ._clock import US, Clock, ManualClock, WallClock
from ._condition import StorageCondition
from ._connection import DatabaseUnusable, open_reader, open_writer, usable
from ._durable import replace_file, sweep_staged, sync_folder
from ._errors import (
    Conflict,
    Deadline,
    Forbidden,
    Internal,
    Invalid,
    Limited,
    MissionError,
    NotFound,
    Unauthenticated,
    Unavailable,
    from_wire,
)
from ._folders import pack_folder, remove_folder
from ._group import StorageFailed, Write, run_write
from ._ids import slug, uuid7
from ._instance import HomeInUse, hold_home
from ._lease import Fence, agent_lease
from ._plain import read_plain
from ._records import (
    Agent,
    AgentStatus,
    Budget,
    BudgetLevel,
    Change,
    ChronicleEntry,
    Deletion,
    Dependency,
    HelpRequest,
    HelpState,
    Memory,
    Message,
    Project,
    ProjectState,
    Pulse,
    PulseKind,
    PulseState,
    Session,
    Soul,
    Task,
    TaskEvent,
    TaskStatus,
)
from ._registry import COMMANDS, fields_of, make_command, name_of
from ._table import record_of
from ._transaction import Command, Transaction
from ._writer import Writer
from .reads import OPEN_COLUMNS, PulsesOf, Reads, Result, TaskFilter, TaskPlace
from .schema import Migration, SchemaMismatch, known_migrations, migrate

__all__ = [
    "COMMANDS",
    "OPEN_COLUMNS",
    "STORAGE",
    "US",
    "Agent",
    "AgentStatus",
    "Budget",
    "BudgetLevel",
    "Change",
    "ChronicleEntry",
    "Clock",
    "Command",
    "Conflict",
    "DatabaseUnusable",
    "Deadline",
    "Deletion",
    "Dependency",
    "Fence",
    "Forbidden",
    "HelpRequest",
    "HelpState",
    "HomeInUse",
    "Internal",
    "Invalid",
    "Limited",
    "ManualClock",
    "Memory",
    "Message",
    "Migration",
    "MissionError",
    "NotFound",
    "Project",
    "ProjectState",
    "Pulse",
    "PulseKind",
    "PulseState",
    "PulsesOf",
    "Reads",
    "Result",
    "SchemaMismatch",
    "Session",
    "Soul",
    "StorageActor",
    "StorageCondition",
    "StorageFailed",
    "Store",
    "Task",
    "TaskEvent",
    "TaskFilter",
    "TaskPlace",
    "TaskStatus",
    "Transaction",
    "Unauthenticated",
    "Unavailable",
    "WallClock",
    "Write",
    "Writer",
    "agent_lease",
    "fields_of",
    "from_wire",
    "hold_home",
    "known_migrations",
    "make_command",
    "migrate",
    "name_of",
    "open_reader",
    "open_writer",
    "pack_folder",
    "read_plain",
    "record_of",
    "remove_folder",
    "replace_file",
    "run_write",
    "slug",
    "sweep_staged",
    "sync_folder",
    "usable",
    "uuid7",
]
