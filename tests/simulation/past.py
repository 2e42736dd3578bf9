"""What was, and how to get back to it: backups, made beside all work and restored under none."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing

import attrs

from mission_control.actors import Home
from mission_control.storage.backups import Backups

from .laws import Laws
from .life import TimeOfDay
from .papers import Papers


@attrs.frozen
class Past:
    """The backups of one home."""

    home: Home
    clock: TimeOfDay
    papers: Papers
    fail: Callable[[str], None]
    note: Callable[[str], None]

    @property
    def _backups(self) -> Backups:
        return Backups(self.home.path, self.clock)

    def keep(self) -> None:
        """Make a backup, as another program may at any time."""
        if self.home.database.exists():
            made = self._backups.create()
            self.note(f"a backup is made at change {made.manifest.seq}")

    def restore(self, chance: random.Random) -> Laws | None:
        """Restore one of the backups, if there are any; return what holds from now on."""
        made = self._backups.list()
        if not made:
            return None
        back = self._backups.restore(chance.choice(made).id)
        self.note(f"the past is restored, to change {back.backup.manifest.seq}")
        return self._read_again()

    def _read_again(self) -> Laws:
        """Follow the log from its beginning; of all that ever happened only that is left."""
        laws = Laws(self.home, self.fail)
        with closing(sqlite3.connect(self.home.database)) as connection:
            laws.committed(connection)
            laws.whole(connection)
        self.papers.begin_again(laws.estates.kept)
        laws.papers, laws.estates.on_disk = self.papers, True
        laws.estates.ownerless = frozenset(self.home.taken()) - laws.estates.projects.keys()
        return laws
