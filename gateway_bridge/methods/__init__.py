"""The methods of `mission.*`, by noun.  Importing this package fills the table.

Who calls methods from outside takes the table from here, so that none is missing in it.
"""

from .._table import METHODS, Method, call
from . import (
    agents,
    budgets,
    control,
    files,
    help_,
    imports,
    messages,
    projects,
    pulses,
    sessions,
    souls,
    system,
    tasks,
    templates,
    tokens,
)

__all__ = [
    "METHODS",
    "Method",
    "agents",
    "budgets",
    "call",
    "control",
    "files",
    "help_",
    "imports",
    "messages",
    "projects",
    "pulses",
    "sessions",
    "souls",
    "system",
    "tasks",
    "templates",
    "tokens",
]
