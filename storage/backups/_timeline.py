"""Where a moment of the past is told: which database has its log, and which backup goes before."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import attrs

from .._connection import open_reader
from .._errors import NotFound
from ..history import Cursor, Moment, seq_at
from ._backup import DATABASE, Backup
from ._lineage import Lineage, read_lineage
from ._snapshot import read_facts
from ._stage import Replay

FAR_FUTURE = 1 << 62


@attrs.frozen
class Source:
    """A database that tells its history: the live one, or one in a backup."""

    database: Path
    lineage: Lineage
    began_at: int
    known_until: int | None
    """It tells nothing of what happened later; None for the live one."""

    @property
    def end(self) -> Cursor:
        """The newest change that it tells of."""
        return self.lineage.ends[-1]


@attrs.frozen
class Timeline:
    """All that the home and its backups tell of the past."""

    home: Path
    archive: Path
    backups: Sequence[Backup]
    """Oldest first."""

    def find(self, moment: Moment) -> tuple[Backup, Replay]:
        """Return the newest backup at or before *moment*, and what leads from it to there.

        Raises:
            NotFound: no backup is old enough, or nothing tells what happened then.
        """
        source, place = self._place(moment)
        # By its time too: the files in it must not be newer than what was asked for.
        latest = FAR_FUTURE if isinstance(moment, Cursor) else moment
        for backup in reversed(self.backups):
            old_enough = backup.created_at <= latest and self._leads(backup, source, place)
            if old_enough and not backup.damaged:
                return backup, Replay(source.database, self.archive, place)
        raise NotFound("no backup is as old as that: see 'backup list'", field="at")

    def lead(self, backup: Backup, until: Cursor) -> Replay:
        """Return what leads from *backup* to the later place *until*.

        Raises:
            NotFound: nothing tells.
        """
        for source in self._sources():
            if until in source.lineage and self._leads(backup, source, until):
                return Replay(source.database, self.archive, until)
        raise NotFound(f"nothing tells what happened from {backup.id} to {until}", field="until")

    @staticmethod
    def _leads(backup: Backup, source: Source, place: Cursor) -> bool:
        manifest = backup.manifest
        return manifest.seq <= place.seq and Cursor(manifest.epoch, manifest.seq) in source.lineage

    def _place(self, moment: Moment) -> tuple[Source, Cursor]:
        if isinstance(moment, Cursor):
            for source in self._sources():
                if moment in source.lineage:
                    return source, moment
            raise NotFound(f"no database here tells of {moment}", field="at")
        source = self._at(moment)
        with closing(open_reader(source.database)) as connection:
            seq = seq_at(connection, self.archive, moment)
        return source, Cursor(source.end.epoch, seq)

    def _at(self, time_us: int) -> Source:
        """Return what tells of the epoch in which *time_us* lies: the last to begin before it."""
        begun = [source for source in self._sources() if source.began_at <= time_us]
        newest = max((source.began_at for source in begun), default=0)
        for source in begun:
            known = source.known_until is None or time_us <= source.known_until
            if source.began_at == newest and known:
                return source
        raise NotFound("nothing tells any more what happened at that time", field="at")

    def _sources(self) -> Iterator[Source]:
        """Yield the live database if it can be read, then those of the backups, newest first."""
        candidates: list[tuple[Path, int | None]] = [(self.home / DATABASE, None)]
        sound = [each for each in self.backups if not each.damaged]
        candidates += [(each.database, each.created_at) for each in reversed(sound)]
        for database, known_until in candidates:
            # One may be missing or damaged: perhaps that is why a backup is wanted.
            with suppress(sqlite3.Error, ValueError):
                yield _source(database, known_until)


def _source(database: Path, known_until: int | None) -> Source:
    with closing(open_reader(database)) as connection:
        facts = read_facts(connection)
        return Source(database, read_lineage(connection), facts.epoch_began_at, known_until)
