"""Files of a project for those who may use some of them: policy, kernel, locks (SYSTEM §12)."""

from ._access import Access, AgentAccess, Operation, OperatorAccess, Right, authorise
from ._files import Files
from ._kernel import Opener, best_opener
from ._kinds import Kind
from ._limits import Limits
from ._lock_table import LockInfo
from ._locks import FileLocks, LockTimeout
from ._quota import Quota
from ._reasons import Reason
from ._records import Content, Entry, Found, Match, Stat, Written
from ._root import ProjectRoot, Projects
from ._scoped import ScopedFiles
from ._workspace import Workspace

__all__ = [
    "Access",
    "AgentAccess",
    "Content",
    "Entry",
    "FileLocks",
    "Files",
    "Found",
    "Kind",
    "Limits",
    "LockInfo",
    "LockTimeout",
    "Match",
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
    "Workspace",
    "Written",
    "authorise",
    "best_opener",
]
