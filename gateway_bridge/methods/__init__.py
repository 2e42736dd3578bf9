"""The methods of `mission.*`, by noun.  Importing this package fills the table."""

from . import agents, control, help_, imports, messages, projects, sessions, system, tasks

__all__ = [
    "agents",
    "control",
    "help_",
    "imports",
    "messages",
    "projects",
    "sessions",
    "system",
    "tasks",
]
