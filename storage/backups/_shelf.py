"""Where the backups of a home stand, and who may touch which of them.

A folder is locked by whoever makes it, reads it or removes it, with a lock that the kernel drops
when its holder dies.  So a folder without a manifest that nobody holds was left by a kill.  The
shelf's own lock is shared by all who make backups, and taken whole by a restore while it puts the
new database in the place of the old one.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import attrs

from .._clock import US
from .._durable import sync_folder
from .._errors import Conflict, Invalid, NotFound
from ._backup import Backup, read_check
from ._errors import BackupDamaged, BackupTooNew, disk_errors
from ._manifest import NAME as MANIFEST
from ._manifest import read_manifest

_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
_LOCK = ".lock"
REPLACED = "replaced-"


class BackupInUse(Conflict):
    """Another process makes, reads or restores a backup."""


@attrs.frozen
class Shelf:
    """The folder of a home's backups."""

    path: Path

    def prepare(self) -> None:
        """Make the folder, for its owner only."""
        if not self.path.is_dir():
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in self.path.parents[:2]:
                sync_folder(folder)

    @contextmanager
    def making(self) -> Iterator[None]:
        """Keep restores away while the block reads the live files.

        Raises:
            BackupInUse: one is at it.
        """
        with self._locked(fcntl.LOCK_SH, "a backup is being restored: try again afterwards"):
            yield

    @contextmanager
    def replacing(self) -> Iterator[None]:
        """Keep everybody else from reading the live files while the block replaces them.

        Raises:
            BackupInUse: somebody does.
        """
        with self._locked(fcntl.LOCK_EX, "a backup is being made: try again when it has ended"):
            yield

    @contextmanager
    def _locked(self, how: int, refusal: str) -> Iterator[None]:
        with disk_errors(f"the backups in {self.path} cannot be used"):
            self.prepare()
            descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _lock(descriptor, how):
                raise BackupInUse(refusal)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def claim(self, at_us: int) -> Iterator[Path]:
        """Make the folder of a new backup, and hold it while the block fills it."""
        while True:
            folder = self.path / new_id(at_us)
            folder.mkdir(mode=0o700)
            with _held(folder, fcntl.LOCK_EX) as held:
                # Between the two lines somebody may have swept it away.
                if held:
                    yield folder
                    return

    @contextmanager
    def reading(self, backup_id: str) -> Iterator[Path]:
        """Hold the folder of a backup while the block reads it.

        Raises:
            Invalid: *backup_id* is none.
            NotFound: there is no such backup.
            BackupInUse: it is being removed.
        """
        folder = self.folder(backup_id)
        with _held(folder, fcntl.LOCK_SH) as held:
            if not held:
                raise BackupInUse(f"the backup {backup_id} is being removed")
            yield folder

    def folder(self, backup_id: str) -> Path:
        """Return the folder of a backup, which is whole.

        Raises:
            Invalid: *backup_id* is none.
            NotFound: there is no such backup.
        """
        if _ID.fullmatch(backup_id) is None:
            raise Invalid(f"{backup_id!r} is no id of a backup: see 'backup list'", field="id")
        folder = self.path / backup_id
        if folder.is_symlink() or not _is_whole(folder):
            raise NotFound(f"there is no backup {backup_id}: see 'backup list'", backup=backup_id)
        return folder

    def backups(self) -> list[Backup]:
        """Return what can be restored, oldest first.

        What is there and cannot be read is left out: `verify` says what is wrong with it.
        """
        found = []
        for folder in self._folders():
            try:
                found.append(Backup(folder, read_manifest(folder), read_check(folder)))
            except (BackupDamaged, BackupTooNew):
                continue
        return sorted(found, key=lambda backup: (backup.created_at, backup.id))

    def unreadable(self) -> list[str]:
        """Return the ids of backups whose manifest is damaged or of a newer program."""
        return sorted({f.name for f in self._folders()} - {b.id for b in self.backups()})

    def _folders(self) -> list[Path]:
        return [folder for folder in self._own() if _is_whole(folder)]

    def _own(self) -> list[Path]:
        """Return the folders that are named as backups, whole or not."""
        if not self.path.is_dir():
            return []
        return sorted(
            entry
            for entry in self.path.iterdir()
            if _ID.fullmatch(entry.name) and entry.is_dir() and not entry.is_symlink()
        )

    def replaced(self) -> list[Path]:
        """Return the folders of databases that could not be copied before they were replaced."""
        return sorted(
            folder
            for folder in self.path.glob(f"{REPLACED}*")
            if _ID.fullmatch(folder.name.removeprefix(REPLACED)) and not folder.is_symlink()
        )

    def sweep_replaced(self, before_us: int) -> None:
        """Remove those of them that were replaced before that time."""
        latest = REPLACED + new_id(before_us).partition("-")[0]
        for folder in self.replaced():
            if folder.name < latest:
                shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what was begun by somebody who died."""
        for folder in self._own():
            if not _is_whole(folder):
                self._remove(folder, unless_whole=True)

    def remove(self, backup_id: str) -> bool:
        """Remove a backup; False where somebody reads it, or has removed it just now."""
        try:
            return self._remove(self.folder(backup_id), unless_whole=False)
        except NotFound:
            return False

    def _remove(self, folder: Path, *, unless_whole: bool) -> bool:
        try:
            with _held(folder, fcntl.LOCK_EX) as held:
                if not held or (unless_whole and _is_whole(folder)):
                    return False
                # First what makes it a backup: a kill now leaves what the next sweep removes.
                (folder / MANIFEST).unlink(missing_ok=True)
                sync_folder(folder)
                shutil.rmtree(folder)
        except FileNotFoundError:
            return False  # somebody else was faster
        except PermissionError:
            return False  # another user's, who will have to remove it
        return True


def _is_whole(folder: Path) -> bool:
    return os.path.exists(folder / MANIFEST)  # noqa: PTH110 - False too where we may not look


def new_id(at_us: int) -> str:
    """Return an id for a backup that is made at *at_us*."""
    when = datetime.fromtimestamp(at_us / US, UTC)
    return f"{when:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


@contextmanager
def _held(folder: Path, how: int) -> Iterator[bool]:
    """Lock *folder* at once, or not at all; False too where it is no longer in its place."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield _lock(descriptor, how) and _in_place(folder, descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _in_place(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(folder.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
