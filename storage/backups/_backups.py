"""All that can be done with the backups of one home."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from .._clock import Clock
from .._connection import open_reader
from .._durable import sync_folder
from .._errors import NotFound
from .._instance import hold_home
from ..history import Cursor, Moment
from ..schema import refuse_misfit
from ._backup import DATABASE, Backup, Check, write_check
from ._create import Making, Step
from ._errors import BackupDamaged, disk_errors
from ._install import finish
from ._manifest import read_manifest
from ._plan import is_planned
from ._restore import Restored, Restoring
from ._retention import KEPT_US, expendable
from ._shelf import BackupInUse, Shelf
from ._snapshot import Progress, read_facts
from ._stage import Replay
from ._timeline import Timeline
from ._verify import verify

log = logging.getLogger("mission_control.storage")


def _no_step(_: str) -> None:
    """Go on."""


class Backups:
    """The backups of *home*; blocking, for a command or a worker thread.

    Several processes may use one home's backups at once, and beside a running sidecar.
    """

    def __init__(self, home: Path, clock: Clock, *, step: Step = _no_step) -> None:
        """*step* is told what comes next, so that a test can be killed just there."""
        self._home = home
        self._clock = clock
        self._step = step
        self._shelf = Shelf(home / "backups" / "mission-control")

    @property
    def folder(self) -> Path:
        """Where the backups stand."""
        return self._shelf.path

    @property
    def log_archive(self) -> Path:
        """Where old parts of the log are kept: what `archive_log` is given."""
        return self._shelf.path / "changes"

    def create(self, *, reason: str = "manual", progress: Progress | None = None) -> Backup:
        """Copy the home as it is now, while it may be written to; return the verified copy.

        Args:
            reason: kept with it; retention spares whatever is not `scheduled` for a week.
            progress: called with how many bytes of the database are done, and how many there are.

        Raises:
            NotFound: there is no database.
            BackupDamaged: the database is damaged.
            BackupInUse: a restore is going on.
            DiskFull, BackupFailed: it could not be written; nothing is left of it.
        """
        if not (self._home / DATABASE).exists():
            raise NotFound(f"there is no database in {self._home}: nothing to back up")
        with self._shelf.making():
            if is_planned(self._home):
                raise BackupInUse(
                    "a restore was interrupted: start 'mission-control run' or 'backup restore',"
                    " which goes on with it"
                )
            return Making(self._home, self._shelf, self._clock, reason, progress, self._step).run()

    def ensure(self, *, reason: str, progress: Progress | None = None) -> Backup:
        """Return a sound backup made for *reason* that shows the database as it is, or make one.

        Args:
            reason: as for :meth:`create`.
            progress: as for :meth:`create`.

        Raises:
            MissionError: as :meth:`create`.
        """
        database = self._home / DATABASE
        with disk_errors(f"{database} cannot be read"), closing(open_reader(database)) as opened:
            facts = read_facts(opened)
        for made in reversed(self.list()):
            if made.reason == reason and made.manifest.facts == facts and not made.damaged:
                return made
        return self.create(reason=reason, progress=progress)

    def list(self) -> tuple[Backup, ...]:
        """Return what can be restored, oldest first."""
        return tuple(self._shelf.backups())

    def unreadable(self) -> tuple[str, ...]:
        """Return the ids of backups whose manifest is damaged or of a newer program."""
        return tuple(self._shelf.unreadable())

    def replaced(self) -> tuple[Path, ...]:
        """Return the folders of damaged databases that restores have replaced."""
        return tuple(self._shelf.replaced())

    def is_interrupted(self) -> bool:
        """Whether a restore was begun and not ended: the next start does that."""
        return is_planned(self._home)

    def verify(self, backup_id: str) -> Backup:
        """Look at every byte of a backup, and note the outcome beside it.

        Raises:
            Invalid, NotFound: there is no such backup.
            BackupDamaged: something is missing or not as it was written; names it.
            BackupTooNew: a newer program made it.
        """
        with self._shelf.reading(backup_id) as folder:
            try:
                manifest = read_manifest(folder)
                verify(folder, manifest)
            except BackupDamaged:
                self._note(folder, sound=False)
                raise
            return Backup(folder, manifest, self._note(folder, sound=True))

    def _note(self, folder: Path, *, sound: bool) -> Check:
        check = Check(self._clock.now_us(), sound)
        try:
            write_check(folder, check)
        except OSError as error:  # the disk is full, or others': the verdict is what counts
            log.warning("cannot note the outcome of the check in %s: %s", folder, error)
        return check

    def prune(self, keep_daily: int = 7, keep_weekly: int = 4) -> tuple[Backup, ...]:
        """Remove what retention does not keep; return what went.

        With it go damaged databases that a restore has replaced, after the seven days that any
        backup made before a change has.  A backup that somebody reads at the moment stays for the
        next time.
        """
        if not self._shelf.path.is_dir():
            return ()
        with self._shelf.making(), disk_errors("old backups could not be removed"):
            spare = expendable(
                self._shelf.backups(),
                self._clock.now_us(),
                keep_daily=keep_daily,
                keep_weekly=keep_weekly,
            )
            gone = tuple(backup for backup in spare if self._shelf.remove(backup.id))
            self._shelf.sweep_replaced(self._clock.now_us() - KEPT_US)
            if gone:
                sync_folder(self._shelf.path)
            return gone

    def restore(
        self, backup_id: str, *, until: Cursor | None = None, progress: Progress | None = None
    ) -> Restored:
        """Put a backup in the place of what is there, which is kept; no sidecar may run.

        Projects that the backup does not know keep their folders, and `src/` is never touched.

        Args:
            backup_id: of the backup.
            until: a later place, up to which the log is then replayed.
            progress: as for :meth:`create`.

        Raises:
            HomeInUse: a sidecar runs.
            Invalid, NotFound: there is no such backup, or nothing tells how to get to *until*.
            BackupDamaged: it is not as it was written.
            BackupTooNew, SchemaMismatch: a newer program made it.
            DiskFull, BackupFailed: it could not be written; nothing changed.
            RestoreUnfinished: it was begun; the next start, or restore, ends it.
        """
        with self._replacing():
            backup = self.verify(backup_id)
            replay = None if until is None else self._timeline().lead(backup, until)
            return self._restore(backup, replay, progress)

    def restore_at(self, moment: Moment, *, progress: Progress | None = None) -> Restored:
        """Bring everything to what it was at *moment*; the files to the newest backup before it.

        Raises:
            NotFound: no backup is so old, or nothing tells what happened then.
            MissionError: as :meth:`restore`.
        """
        with self._replacing(), disk_errors("the past cannot be read"):
            backup, replay = self._timeline().find(moment)
            return self._restore(self.verify(backup.id), replay, progress)

    def _timeline(self) -> Timeline:
        return Timeline(self._home, self.log_archive, self.list())

    def _restore(
        self, backup: Backup, replay: Replay | None, progress: Progress | None
    ) -> Restored:
        if replay is not None and replay.database.parent != self._home:
            self.verify(replay.database.parent.name)
        refuse_misfit(backup.database)
        with self._shelf.reading(backup.id):
            restoring = Restoring(self._home, self._shelf, self._clock, progress, self._step)
            return restoring.run(backup, replay)

    @contextmanager
    def _replacing(self) -> Iterator[None]:
        with hold_home(self._home / "mission-control.lock"), self._shelf.replacing():
            finish(self._home, self._step)
            yield


def finish_restore(home: Path) -> str | None:
    """Carry out the restore that a kill interrupted, or undo what was not decided on.

    To be called by whoever holds *home*, before anything opens the database.

    Returns:
        The id of the backup that has now been restored.

    Raises:
        BackupDamaged: the plan of the restore was changed.
        RestoreUnfinished: something cannot be moved.
    """
    ended = finish(home, _no_step)
    if ended is None:
        return None
    for path in ended.left:
        log.warning("%s is a mount of its own, and was not restored", home / path)
    return ended.backup
