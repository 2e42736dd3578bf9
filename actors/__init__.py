"""The mission: projects, agents and their pulses, on the runtime below and the storage beside."""

from ._access import Access
from ._brief import brief
from ._budget import spending
from ._commit import board_name
from ._confinement import Confinement, Hold, LandlockMode, hold
from ._deletion import NAME as DELETIONS
from ._deletion import Delete as DeleteProject
from ._deletion import Deleted
from ._fanout import Lagged, PlaceGone, Subscription
from ._feed import NAME as FEED
from ._feed import LowWater, Subscribe
from ._file_ledger import FileLedger
from ._files import files_name, make_notes_folder, use_files
from ._home import Home, HomeUnusable, Scope
from ._landlock import abi as landlock_abi
from ._liveness import Stranded
from ._maintenance import NAME as MAINTENANCE
from ._maintenance import HowKept, MaintenanceSettings, Upkeep
from ._mission import Mission, PulseSettings
from ._open_files import OPEN_FILES
from ._operator_token import OperatorToken
from ._orchestrator import NAME as ORCHESTRATOR
from ._orchestrator import Archive as ArchiveProject
from ._orchestrator import Ensure as EnsureProject
from ._orchestrator import WhoIsStranded
from ._principals import OPERATOR_NAME, Credential, Principals
from ._process import ProcessRunner
from ._processes import group_exists
from ._profiles import PROFILES, profile_command, profile_of
from ._pulse import Kill, Moved, Restart, Sign, Wake, pulse_name
from ._reason import Because, Reason
from ._recorded import recorded
from ._retention import trim_log
from ._roster import Dismiss, roster_changed, roster_name
from ._runner import (
    Entry,
    HostAgent,
    Life,
    Outcome,
    OutcomeKind,
    Page,
    Progress,
    PulseOrder,
    RunHandle,
    Runner,
    SessionOrder,
    SessionStatus,
)
from ._schedule import RETRY_LIMIT_S, next_pulse, phase
from ._session import End as EndSession
from ._session import Ensure as EnsureSession
from ._session import Restart as RestartSession
from ._session import session_key, session_name, session_order
from ._slots import NAME as SLOTS
from ._slots import HowFull
from ._soul_file import SoulFile
from ._status_text import status_text
from ._template import PLACEHOLDERS
from ._token_file import UnfitToken, read_token
from ._tokens import AgentIdentity, AgentTokens
from ._tree import grow, mission_specs
from ._why import why, why_all

__all__ = [
    "DELETIONS",
    "FEED",
    "MAINTENANCE",
    "OPEN_FILES",
    "OPERATOR_NAME",
    "ORCHESTRATOR",
    "PLACEHOLDERS",
    "PROFILES",
    "RETRY_LIMIT_S",
    "SLOTS",
    "Access",
    "AgentIdentity",
    "AgentTokens",
    "ArchiveProject",
    "Because",
    "Confinement",
    "Credential",
    "DeleteProject",
    "Deleted",
    "Dismiss",
    "EndSession",
    "EnsureProject",
    "EnsureSession",
    "Entry",
    "FileLedger",
    "Hold",
    "Home",
    "HomeUnusable",
    "HostAgent",
    "HowFull",
    "HowKept",
    "Kill",
    "Lagged",
    "LandlockMode",
    "Life",
    "LowWater",
    "MaintenanceSettings",
    "Mission",
    "Moved",
    "OperatorToken",
    "Outcome",
    "OutcomeKind",
    "Page",
    "PlaceGone",
    "Principals",
    "ProcessRunner",
    "Progress",
    "PulseOrder",
    "PulseSettings",
    "Reason",
    "Restart",
    "RestartSession",
    "RunHandle",
    "Runner",
    "Scope",
    "SessionOrder",
    "SessionStatus",
    "Sign",
    "SoulFile",
    "Stranded",
    "Subscribe",
    "Subscription",
    "UnfitToken",
    "Upkeep",
    "Wake",
    "WhoIsStranded",
    "board_name",
    "brief",
    "files_name",
    "group_exists",
    "grow",
    "hold",
    "landlock_abi",
    "make_notes_folder",
    "mission_specs",
    "next_pulse",
    "phase",
    "profile_command",
    "profile_of",
    "pulse_name",
    "read_token",
    "recorded",
    "roster_changed",
    "roster_name",
    "session_key",
    "session_name",
    "session_order",
    "spending",
    "status_text",
    "trim_log",
    "use_files",
    "why",
    "why_all",
]
