"""Mission Control: a factory floor for the agents of an OpenClaw Gateway.

All that is public stands in ``__all__`` here or in a part's own ``__init__``; a module whose
name starts with an underscore may change without notice.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .app import MissionControl
    from .app import open_mission_control as open  # noqa: A004 - as in mission_control.open()
    from .config import Config, load_config
    from .storage import MissionError
    from .threaded import ThreadedMissionControl, open_in_thread

__all__ = [
    "Config",
    "MissionControl",
    "MissionError",
    "ThreadedMissionControl",
    "load_config",
    "open",
    "open_in_thread",
]

# Loaded when asked for: who wants only a part, as `mission_control.supervisor`, or only a word with
# the sidecar, does not wait for all the others.
_PLACES = {
    "Config": ("config", "Config"),
    "MissionControl": ("app", "MissionControl"),
    "MissionError": ("storage", "MissionError"),
    "ThreadedMissionControl": ("threaded", "ThreadedMissionControl"),
    "load_config": ("config", "load_config"),
    "open": ("app", "open_mission_control"),
    "open_in_thread": ("threaded", "open_in_thread"),
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(import_module(f".{module}", __name__), attribute)
