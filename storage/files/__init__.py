"""Files of a project for those who may use some of them: policy, kernel, locks (SYSTEM §12)."""

from ._access import SECRETS, Access, AgentAccess, Operation, OperatorAccess, Right, authorise
from ._changes import (
    AppendToFile,
    Delete,
    EditFile,
    FileChange,
    MakeFolder,
    Move,
    Wanted,
    WriteFile,
    as_told,
    fingerprint,
)
from ._files import Files
from ._kernel import Opener, best_opener
from ._kinds import Kind
from ._ledger import Ledger
from ._limits import MIB, Limits
from ._lock_table import LockInfo
from ._locks import TIMEOUT_S, FileLocks, LockTimeout
from ._names import check_project
from ._quota import Quota
from ._reasons import Reason, refusal
from ._records import Content, Entry, Found, Match, Stat, Written
from ._root import ProjectRoot, Projects
from ._scoped import ScopedFiles
from ._workspace import Workspace

__all__ = [
    "MIB",
    "SECRETS",
    "TIMEOUT_S",
    "Access",
    "AgentAccess",
    "AppendToFile",
    "Content",
    "Delete",
    "EditFile",
    "Entry",
    "FileChange",
    "FileLocks",
    "Files",
    "Found",
    "Kind",
    "Ledger",
    "Limits",
    "LockInfo",
    "LockTimeout",
    "MakeFolder",
    "Match",
    "Move",
    "Opener",
    "Operation",
    "OperatorAccess",
    "ProjectRoot",
    "Projects",
    "Quota",
    "Reason",
    "Right",
    "ScopedFiles",
    "Stat",
    "Wanted",
    "Workspace",
    "WriteFile",
    "Written",
    "as_told",
    "authorise",
    "best_opener",
    "check_project",
    "fingerprint",
    "refusal",
]
