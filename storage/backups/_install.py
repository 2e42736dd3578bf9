"""Carrying out a restore: only moves, each of which may have been made by an earlier attempt."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs

from .._durable import sweep_staged, sync_folder
from ._backup import DATABASE, FILES
from ._create import Step
from ._errors import RestoreUnfinished
from ._places import folder_of, is_hopeless, put, remove
from ._plan import NAME, Plan, discard_plan, read_plan, sweep_stagings

LOGS = ("-wal", "-shm", "-journal")


@attrs.frozen
class Ended:
    """A restore that was carried out."""

    backup: str
    """Its id."""
    left: tuple[str, ...]
    """Files that stay as they were: each is a mount of its own, and nobody can replace that."""


def finish(home: Path, step: Step) -> Ended | None:
    """Carry out what has been decided on, and remove what has not.

    To be called by whoever holds the home, before anybody opens its database.

    Raises:
        BackupDamaged: the plan is not as it was written.
        RestoreUnfinished: something cannot be moved; the next call goes on there.
    """
    plan = read_plan(home)
    try:
        ended = None if plan is None else _carry_out(home, plan, step)
        step("sweep")
        sweep_stagings(home)
        sweep_staged(home)
    except OSError as error:
        raise RestoreUnfinished(
            f"a restore was begun and cannot be ended: {error}: put that right, and start"
            " 'mission-control run' or 'backup restore', which goes on with it; or give up what"
            f" has not been moved yet, by removing {home / NAME}"
        ) from error
    return ended


def _carry_out(home: Path, plan: Plan, step: Step) -> Ended:
    _replace_database(home, plan, step)
    left = _move_files(home, plan, step)
    step("discard the plan")
    discard_plan(home)
    return Ended(plan.backup, left)


def _replace_database(home: Path, plan: Plan, step: Step) -> None:
    staged = home / plan.staging / DATABASE
    if not staged.exists():
        return  # an earlier attempt has moved it, and what lies beside it now is its own
    for suffix in LOGS:
        # Before the new file comes: a log that stayed would be played into it.
        step(f"move {suffix} away")
        with suppress(FileNotFoundError):
            (home / f"{DATABASE}{suffix}").rename(f"{staged}{suffix}.old")
    sync_folder(home)
    step("replace the database")
    staged.replace(home / DATABASE)
    sync_folder(home)


def _move_files(home: Path, plan: Plan, step: Step) -> tuple[str, ...]:
    """Put all files into their places; return those that can have none."""
    left: list[str] = []
    for path in plan.files:
        step(f"replace {path}")
        with _noting(left, path), folder_of(home, Path(path).parent) as folder:
            put(home / plan.staging / FILES / path, folder, Path(path).name)
    for path in plan.stale:
        step(f"remove {path}")
        with _noting(left, path), folder_of(home, Path(path).parent) as folder:
            remove(folder, Path(path).name)
    step("sync")
    for parent in {Path(path).parent for path in {*plan.files, *plan.stale} - {*left}}:
        with folder_of(home, parent) as folder:
            os.fsync(folder)
    return tuple(left)


@contextmanager
def _noting(left: list[str], path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not is_hopeless(error):
            raise
        left.append(path)
