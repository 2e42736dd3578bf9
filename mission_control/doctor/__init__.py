"""What is wrong with an installation, and how to mend it."""

from ._commands import examine_commands
from ._finding import Finding, Level
from ._gateway import examine_gateway
from ._host import examine_host
from ._sidecar import examine_sidecar

__all__ = [
    "Finding",
    "Level",
    "examine_commands",
    "examine_gateway",
    "examine_host",
    "examine_sidecar",
]
