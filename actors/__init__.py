"""The mission: projects, agents and their pulses, on the runtime below and the storage beside."""

from ._attempt import brief
from ._commit import board_name
from ._feed import NAME as FEED
from ._feed import Lagged, Subscribe, Subscription
from ._home import Home, HomeUnusable, Scope
from ._mission import Mission, PulseSettings
from ._orchestrator import NAME as ORCHESTRATOR
from ._orchestrator import Archive as ArchiveProject
from ._orchestrator import Ensure as EnsureProject
from ._process import ProcessRunner
from ._processes import group_exists
from ._pulse import Kill, Sign, Wake, pulse_name
from ._roster import Dismiss, roster_changed, roster_name
from ._runner import Life, Outcome, OutcomeKind, PulseOrder, RunHandle, Runner
from ._schedule import next_pulse, phase
from ._session import session_key
from ._slots import NAME as SLOTS
from ._slots import HowFull
from ._status_text import status_text
from ._tokens import AgentIdentity, AgentTokens
from ._tree import grow, mission_specs
from ._why import why

__all__ = [
    "FEED",
    "ORCHESTRATOR",
    "SLOTS",
    "AgentIdentity",
    "AgentTokens",
    "ArchiveProject",
    "Dismiss",
    "EnsureProject",
    "Home",
    "HomeUnusable",
    "HowFull",
    "Kill",
    "Lagged",
    "Life",
    "Mission",
    "Outcome",
    "OutcomeKind",
    "ProcessRunner",
    "PulseOrder",
    "PulseSettings",
    "RunHandle",
    "Runner",
    "Scope",
    "Sign",
    "Subscribe",
    "Subscription",
    "Wake",
    "board_name",
    "brief",
    "group_exists",
    "grow",
    "mission_specs",
    "next_pulse",
    "phase",
    "pulse_name",
    "roster_changed",
    "roster_name",
    "session_key",
    "status_text",
    "why",
]
