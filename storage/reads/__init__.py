"""Questions to the database, by theme; :class:`Reads` answers them all."""

from ._ask import MAX_PAGE, Unreadable
from ._pulses import PulsesOf, Result
from ._reads import Reads
from ._tasks import OPEN_COLUMNS, TaskFilter, TaskPlace

__all__ = [
    "MAX_PAGE",
    "OPEN_COLUMNS",
    "PulsesOf",
    "Reads",
    "Result",
    "TaskFilter",
    "TaskPlace",
    "Unreadable",
]
