"""What lasts: records, commands, the one writer, and the files that must be whole."""

from ._actor import NAME as STORAGE
from ._actor import StorageActor, Store
from ._clock import US, Clock, ManualClock, WallClock
from ._connection import open_reader, open_writer
from ._durable import replace_file, sweep_staged
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
from ._ids import slug, uuid7
from ._instance import HomeInUse, hold_home
from ._migrate import Migration, SchemaMismatch, known_migrations, migrate
from ._plain import read_plain
from ._reads import Reads
from ._records import (
    Agent,
    AgentStatus,
    Change,
    ChronicleEntry,
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
from ._table import record_of
from ._transaction import Command, Transaction
from ._writer import StorageFailed, Write, Writer

__all__ = [
    "STORAGE",
    "US",
    "Agent",
    "AgentStatus",
    "Change",
    "ChronicleEntry",
    "Clock",
    "Command",
    "Conflict",
    "Deadline",
    "Dependency",
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
    "Reads",
    "SchemaMismatch",
    "Session",
    "Soul",
    "StorageActor",
    "StorageFailed",
    "Store",
    "Task",
    "TaskEvent",
    "TaskStatus",
    "Transaction",
    "Unauthenticated",
    "Unavailable",
    "WallClock",
    "Write",
    "Writer",
    "from_wire",
    "hold_home",
    "known_migrations",
    "migrate",
    "open_reader",
    "open_writer",
    "read_plain",
    "record_of",
    "replace_file",
    "slug",
    "sweep_staged",
    "uuid7",
]
