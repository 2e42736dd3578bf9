"""The ``mission-control`` command: one module a group of sub-commands."""

from . import (
    _agent,
    _backup,
    _db,
    _doctor,
    _import,
    _look,
    _plugin,
    _project,
    _run,
    _session,
    _task,
)
from ._group import main

__all__ = [
    "_agent",
    "_backup",
    "_db",
    "_doctor",
    "_import",
    "_look",
    "_plugin",
    "_project",
    "_run",
    "_session",
    "_task",
    "main",
]
