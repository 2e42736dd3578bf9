"""The ``mission-control`` command: one module a group of sub-commands."""

from . import _agent, _doctor, _look, _plugin, _project, _run, _task
from ._group import main

__all__ = ["_agent", "_doctor", "_look", "_plugin", "_project", "_run", "_task", "main"]
