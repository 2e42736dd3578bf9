"""Mission Control: a factory floor for the agents of an OpenClaw Gateway.

All that is public stands in ``__all__`` here or in a part's own ``__init__``; a module whose
name starts with an underscore may change without notice.
"""

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
