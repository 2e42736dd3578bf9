"""The methods of `mission.*`, by noun.  Importing this package fills the table."""

from . import agents, control, help_, projects, system, tasks

__all__ = ["agents", "control", "help_", "projects", "system", "tasks"]
