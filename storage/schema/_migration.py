"""One step of the schema's history, and the steps that this program knows."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import pkgutil
import re
from collections.abc import Sequence
from types import ModuleType

import attrs

from .. import migrations
from .._errors import Conflict, Internal

FILE_NAME = re.compile(r"m(?P<number>\d{4})_(?P<word>[a-z][a-z0-9_]*)")


class SchemaMismatch(Conflict):
    """The database and this program do not fit; the message says what to do."""


@attrs.frozen
class Migration:
    """One step.

    Attributes:
        up, down: scripts of SQL; without `down` there is no way back.
    """

    number: int
    name: str
    description: str
    up: str
    down: str | None = None

    @property
    def checksum(self) -> str:
        """Of what the step does, not of how its file is laid out."""
        return hashlib.sha256(f"{self.up}\0{self.down or ''}".encode()).hexdigest()


def known_migrations() -> list[Migration]:
    """Return the steps that this program knows, first to last.

    Raises:
        SchemaMismatch: a number is missing or there twice.
        Internal: a file among them is not a step, or an unwritten one.
    """
    names = (info.name for info in pkgutil.iter_modules(migrations.__path__))
    modules = (importlib.import_module(f"{migrations.__name__}.{name}") for name in names)
    steps = sorted((_step(module) for module in modules), key=lambda step: step.number)
    refuse_gaps(steps)
    return steps


def _step(module: ModuleType) -> Migration:
    name = module.__name__.rpartition(".")[2]
    fitting = FILE_NAME.fullmatch(name)
    if fitting is None:
        raise Internal(f"storage/migrations/{name}.py is no step: call it mNNNN_name.py")
    up: str = getattr(module, "UP", "")
    # An empty step would be recorded as applied, and could never be written after that.
    if not up.strip():
        raise Internal(f"storage/migrations/{name}.py has an empty UP: write it, or delete it")
    down: str = getattr(module, "DOWN", None) or ""
    description = inspect.getdoc(module) or ""
    return Migration(int(fitting["number"]), name, description, up, down if down.strip() else None)


def refuse_gaps(steps: Sequence[Migration]) -> None:
    """See that *steps* are numbered 1, 2, 3, ...

    Raises:
        SchemaMismatch: they are not.
    """
    for expected, step in enumerate(steps, start=1):
        if step.number != expected:
            raise SchemaMismatch(
                f"this program's migrations are not numbered without a gap: {step.name} stands"
                f" where number {expected} belongs: install openclaw-mission-control anew"
            )
