"""Carrying out a restore: only moves, each of which may have been made by an earlier attempt.

The files go into folders in which agents may write.  So each step down is made by descriptor, and
what stands in the way, a link in place of a folder say, is moved aside and never followed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .._durable import sync_folder
from ._backup import DATABASE, FILES
from ._create import Step
from ._errors import RestoreUnfinished
from ._plan import Plan, discard_plan, read_plan, sweep_stagings

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_IN_THE_WAY = {errno.ENOTDIR, errno.ELOOP}
LOGS = ("-wal", "-shm", "-journal")


def finish(home: Path, step: Step) -> str | None:
    """Carry out what has been decided on, and remove what has not; return the backup's id.

    To be called by whoever holds the home, before anybody opens its database.

    Raises:
        BackupDamaged: the plan is not as it was written.
        RestoreUnfinished: something cannot be moved; the next call goes on there.
    """
    plan = read_plan(home)
    try:
        if plan is not None:
            _replace_database(home, plan, step)
            _move_files(home, plan, step)
            step("discard the plan")
            discard_plan(home)
        step("sweep")
        sweep_stagings(home)
    except OSError as error:
        raise RestoreUnfinished(
            f"a restore was begun and cannot be ended: {error}: see that the home may be written,"
            " and start 'mission-control run' or 'backup restore', which goes on with it"
        ) from error
    return plan.backup if plan is not None else None


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


def _move_files(home: Path, plan: Plan, step: Step) -> None:
    aside = f".replaced{plan.staging.removeprefix('.restore')}"
    for path in plan.files:
        step(f"replace {path}")
        with _folder(home, Path(path).parent, aside) as folder:
            _move(home / plan.staging / FILES / path, folder, path, aside)
    for path in plan.stale:
        step(f"remove {path}")
        with _folder(home, Path(path).parent, aside) as folder, suppress(FileNotFoundError):
            os.unlink(Path(path).name, dir_fd=folder)
    step("sync")
    for parent in {Path(path).parent for path in (*plan.files, *plan.stale)}:
        with _folder(home, parent, aside) as folder:
            os.fsync(folder)


def _move(staged: Path, folder: int, path: str, aside: str) -> None:
    name = Path(path).name
    try:
        os.rename(staged, name, dst_dir_fd=folder)
    except IsADirectoryError:
        _set_aside(folder, name, aside)
        os.rename(staged, name, dst_dir_fd=folder)
    except FileNotFoundError:
        pass  # an earlier attempt has moved it


@contextmanager
def _folder(home: Path, path: Path, aside: str) -> Iterator[int]:
    """Open the folder *path* of the home, making what is missing of the way."""
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in path.parts:
            below = _enter(folder, name, aside)
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)


def _enter(folder: int, name: str, aside: str) -> int:
    while True:
        try:
            return os.open(name, _FOLDER, dir_fd=folder)
        except FileNotFoundError:
            os.mkdir(name, dir_fd=folder)
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            _set_aside(folder, name, aside)


def _set_aside(folder: int, name: str, aside: str) -> None:
    os.rename(name, f"{name}{aside}", src_dir_fd=folder, dst_dir_fd=folder)
