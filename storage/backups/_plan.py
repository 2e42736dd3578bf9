"""What a restore is about to do, written down before it does it.

Until the plan is there, a restore that is killed has changed nothing.  Once it is there, whoever
comes next carries it out to the end, as often as that takes.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import attrs
import cattrs

from .._durable import replace_file, sync_folder
from ._document import read_document
from ._errors import BackupDamaged
from ._manifest import MAX_BYTES, belongs

NAME = "mission-control.restoring"
_STAGING = re.compile(r"\.restore-[0-9a-f]{8}")


@attrs.frozen
class Plan:
    """A restore that will happen."""

    backup: str
    """Its id."""
    staging: str
    """The folder in the home in which everything new stands ready."""
    files: tuple[str, ...]
    """To be moved into their places, paths relative to the home."""
    stale: tuple[str, ...]
    """To be removed: mirrors of what has not happened any more."""


_converter = cattrs.Converter(forbid_extra_keys=True)


def write_plan(home: Path, plan: Plan) -> None:
    """Decide that the restore happens: durably, in one step."""
    replace_file(home / NAME, json.dumps(_converter.unstructure(plan)) + "\n")


def is_planned(home: Path) -> bool:
    """Whether a restore has been decided on, and not been ended."""
    return (home / NAME).exists()


def read_plan(home: Path) -> Plan | None:
    """Return what has been decided on and not been ended; None where there is nothing.

    Raises:
        BackupDamaged: somebody changed the plan.
    """
    if not is_planned(home):
        return None
    try:
        plan = _converter.structure(read_document(home / NAME, MAX_BYTES), Plan)
    except (cattrs.BaseValidationError, ValueError, TypeError) as error:
        raise _changed(home) from error
    paths = (*plan.files, *plan.stale)
    if _STAGING.fullmatch(plan.staging) is None or not all(map(belongs, paths)):
        raise _changed(home)
    return plan


def _changed(home: Path) -> BackupDamaged:
    return BackupDamaged(
        f"{home / NAME} is not as a restore wrote it: move it away, and restore the backup again"
    )


def discard_plan(home: Path) -> None:
    """Note that the restore has been carried out, or was not decided on after all."""
    (home / NAME).unlink(missing_ok=True)
    sync_folder(home)


def sweep_stagings(home: Path) -> None:
    """Remove what restores left that were killed before they were decided on, or at their end."""
    for folder in home.glob(".restore-*"):
        if _STAGING.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)
