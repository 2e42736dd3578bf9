"""The mission: projects, agents and their pulses, on the runtime below and the storage beside."""

from ._attempt import brief
from ._commit import board_name
from ._fanout import Lagged, PlaceGone, Subscription
from ._feed import NAME as FEED
from ._feed import LowWater, Subscribe
from ._home import Home, HomeUnusable, Scope
from ._maintenance import NAME as MAINTENANCE
from ._maintenance import HowKept, MaintenanceSettings, Upkeep
from ._mission import Mission, PulseSettings
from ._orchestrator import NAME as ORCHESTRATOR
from ._orchestrator import Archive as ArchiveProject
from ._orchestrator import Ensure as EnsureProject
from ._process import ProcessRunner
from ._processes import group_exists
from ._pulse import Kill, Sign, Wake, pulse_name
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
    PulseOrder,
    RunHandle,
    Runner,
    SessionOrder,
    SessionStatus,
)
from ._schedule import next_pulse, phase
from ._session import End as EndSession
from ._session import Ensure as EnsureSession
from ._session import Restart as RestartSession
from ._session import session_key, session_name, session_order
from ._slots import NAME as SLOTS
from ._slots import HowFull
from ._status_text import status_text
from ._tokens import AgentIdentity, AgentTokens
from ._tree import grow, mission_specs
from ._why import why

__all__ = [
    "FEED",
    "MAINTENANCE",
    "ORCHESTRATOR",
    "SLOTS",
    "AgentIdentity",
    "AgentTokens",
    "ArchiveProject",
    "Dismiss",
    "EndSession",
    "EnsureProject",
    "EnsureSession",
    "Entry",
    "Home",
    "HomeUnusable",
    "HostAgent",
    "HowFull",
    "HowKept",
    "Kill",
    "Lagged",
    "Life",
    "LowWater",
    "MaintenanceSettings",
    "Mission",
    "Outcome",
    "OutcomeKind",
    "Page",
    "PlaceGone",
    "ProcessRunner",
    "PulseOrder",
    "PulseSettings",
    "RestartSession",
    "RunHandle",
    "Runner",
    "Scope",
    "SessionOrder",
    "SessionStatus",
    "Sign",
    "Subscribe",
    "Subscription",
    "Upkeep",
    "Wake",
    "board_name",
    "brief",
    "group_exists",
    "grow",
    "mission_specs",
    "next_pulse",
    "phase",
    "pulse_name",
    "recorded",
    "roster_changed",
    "roster_name",
    "session_key",
    "session_name",
    "session_order",
    "status_text",
    "trim_log",
    "why",
]
