"""Putting a backup in the place of what is there: all of it, or nothing."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path

import attrs

from .._clock import Clock
from .._durable import sync_folder
from ..history import Cursor
from ._backup import DATABASE, FILES, Backup
from ._create import Making, Step, sync_tree
from ._errors import BackupDamaged, BackupFailed, disk_errors
from ._files import Harvest
from ._install import LOGS, finish
from ._manifest import KeptFile
from ._places import prove_replaceable, prove_writable
from ._plan import Plan, discard_plan, write_plan
from ._shelf import REPLACED, Shelf, new_id
from ._snapshot import Progress
from ._stage import Replay, copy_file, stage

BEFORE_RESTORE = "before-restore"


@attrs.frozen
class Restored:
    """What a restore did."""

    backup: Backup
    cursor: Cursor
    """Where the new history begins."""
    safety: Path
    """Holds what was replaced: a backup, or just the files where the database was damaged."""
    left: tuple[str, ...]
    """Files of the backup whose places are mounts of their own: these stay as they were."""


@attrs.frozen
class Restoring:
    """One restore, by whoever holds the home."""

    home: Path
    shelf: Shelf
    clock: Clock
    progress: Progress | None
    step: Step

    def run(self, backup: Backup, replay: Replay | None) -> Restored:
        """Do it.

        Raises:
            RestoreUnfinished: it was begun, and the next start must end it.
            MissionError: it could not be done; everything is as it was.
        """
        with disk_errors("the backup could not be restored"), ExitStack() as undo:
            self.step("stage")
            folder = self.home / f".restore-{secrets.token_hex(4)}"
            folder.mkdir(mode=0o700)
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            now_us = self.clock.now_us()
            staged = stage(backup, folder, replay, now_us=now_us, progress=self.progress)
            self.step("keep what is there")
            safety, kept = self._keep(undo)
            files = tuple(file.path for file in backup.manifest.files)
            stale = tuple(_days(kept, staged.projects) - set(files))
            # What has been decided on must come to an end.
            prove_replaceable(self.home / DATABASE, folder)
            prove_writable(self.home, {Path(path).parent for path in (*files, *stale)})
            self.step("write the plan")
            undo.callback(discard_plan, self.home)
            sync_folder(self.home)
            write_plan(self.home, Plan(backup.id, folder.name, files, stale))
            undo.pop_all()
        ended = finish(self.home, self.step)
        return Restored(backup, staged.cursor, safety, () if ended is None else ended.left)

    def _keep(self, undo: ExitStack) -> tuple[Path, tuple[KeptFile, ...]]:
        """Copy what will be replaced; return where it is, and the files."""
        making = Making(self.home, self.shelf, self.clock, BEFORE_RESTORE, None, self.step)
        try:
            backup = making.run()
        except (BackupDamaged, BackupFailed):
            return self._keep_as_it_is(undo)
        undo.callback(shutil.rmtree, backup.folder, ignore_errors=True)
        return backup.folder, backup.manifest.files

    def _keep_as_it_is(self, undo: ExitStack) -> tuple[Path, tuple[KeptFile, ...]]:
        """Keep a database that cannot be copied: the file itself, and the log beside it."""
        folder = self.shelf.path / f"{REPLACED}{new_id(self.clock.now_us())}"
        folder.mkdir(mode=0o700)
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        for suffix in ("", *LOGS):
            with suppress(FileNotFoundError):
                _keep_file(self.home / f"{DATABASE}{suffix}", folder / f"{DATABASE}{suffix}")
        harvest = Harvest(folder / FILES, self.step)
        harvest.gather(self.home)
        sync_tree(folder)
        sync_folder(folder.parent)
        return folder, tuple(harvest.kept)


def _keep_file(source: Path, target: Path) -> None:
    """Link, which reads nothing from a disk that fails; or copy, where a link does not lead."""
    try:
        os.link(source, target)
    except OSError:
        copy_file(source, target, 0o600)


def _days(files: tuple[KeptFile, ...], projects: frozenset[str]) -> set[str]:
    """Return the daily mirrors of *projects* among *files*: the next start writes what is due."""
    days = set()
    for file in files:
        match file.path.split("/"):
            case ["projects", project, "daily", _] if project in projects:
                days.add(file.path)
    return days
