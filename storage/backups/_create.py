"""Making a backup: database, files, and at last the manifest that makes it one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

import attrs

from .._clock import Clock
from .._durable import sync_folder
from ._backup import DATABASE, FILES, Backup, Check, read_check, write_check
from ._errors import disk_errors
from ._files import Harvest
from ._manifest import KeptFile, Manifest, read_manifest, write_manifest
from ._shelf import Shelf
from ._snapshot import DatabaseFacts, Progress, copy_database
from ._verify import sha256_of, verify

Step = Callable[[str], None]
"""Told before each thing that a kill may come between; for tests."""


@attrs.frozen
class Making:
    """One backup on its way."""

    home: Path
    shelf: Shelf
    clock: Clock
    reason: str
    progress: Progress | None
    step: Step

    def run(self) -> Backup:
        """Make it.

        Raises:
            MissionError: it could not be made; nothing of it is left.
        """
        with disk_errors("the backup could not be made"):
            self.shelf.prepare()
            self.shelf.sweep()
            created_at = self.clock.now_us()
            with self.shelf.claim(created_at) as folder, ExitStack() as undo:
                undo.callback(shutil.rmtree, folder, ignore_errors=True)
                backup = self._fill(folder, created_at)
                undo.pop_all()
                return backup

    def _fill(self, folder: Path, created_at: int) -> Backup:
        self.step("copy the database")
        facts = copy_database(self.home / DATABASE, folder / DATABASE, self.progress)
        self.step("copy the files")
        harvest = Harvest(folder / FILES, lambda path: self.step(f"copied {path}"))
        harvest.gather(self.home)
        self.step("sync")
        sync_tree(folder)
        manifest = self._manifest(folder, facts, harvest, created_at)
        self.step("verify")
        verify(folder, manifest)
        self.step("write the manifest")
        write_manifest(folder, manifest)
        sync_folder(folder.parent)
        self.step("note the check")
        write_check(folder, Check(self.clock.now_us(), sound=True))
        return Backup(folder, read_manifest(folder), read_check(folder))

    def _manifest(
        self, folder: Path, facts: DatabaseFacts, harvest: Harvest, created_at: int
    ) -> Manifest:
        database = folder / DATABASE
        return Manifest(
            id=folder.name,
            reason=self.reason,
            created_at=created_at,
            program=version("openclaw-mission-control"),
            schema=facts.schema,
            epoch=facts.epoch,
            epoch_began_at=facts.epoch_began_at,
            seq=facts.seq,
            database=KeptFile(DATABASE, database.stat().st_size, sha256_of(database)),
            files=tuple(harvest.kept),
            skipped=tuple(harvest.skipped),
        )


def sync_tree(folder: Path) -> None:
    """Make what stands in *folder* and below it survive a power cut."""
    for path, _, _ in os.walk(folder):
        sync_folder(Path(path))
