"""Mirrors on disk: written whole, watched, and put right when somebody else has changed them.

What is found in a mirror's place, and is not what we wrote there, is somebody's work: it is kept in
the project's archive, and told of.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import time
from pathlib import Path, PurePath

import attrs

from ..storage import read_plain, replace_file, sync_folder
from ._seal import Seal, seal, seal_of

MAX_BYTES = 128 * 1024 * 1024
"""A larger file is none of ours; no more of it is read to find out."""

SETTLED_NS = 2_000_000_000
"""A file system's clock may be as coarse: a change that is younger may not show from outside."""


@attrs.frozen
class Restored:
    """A mirror that somebody had changed."""

    name: str
    """Its path in the project's folder."""
    kept: str | None
    """Where in that folder that is which was found; None where nothing was."""

    def __str__(self) -> str:
        found = f"what was there is now {self.kept}" if self.kept else "it had been removed"
        return f"{self.name} was changed behind Mission Control's back and is restored: {found}"


@attrs.frozen
class _Written:
    """A mirror as we left it, and how that looks from outside."""

    seal: Seal
    inode: int
    size: int
    modified_ns: int
    changed_ns: int
    seen_ns: int

    @classmethod
    def now(cls, seal: Seal, found: os.stat_result) -> _Written:
        where = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        return cls(seal, *where, time.time_ns())

    def stands(self, found: os.stat_result) -> bool:
        """Whether nobody can have written to it since, as far as a look tells."""
        mark = (self.inode, self.size, self.modified_ns, self.changed_ns)
        same = mark == (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        return same and self.seen_ns - self.changed_ns > SETTLED_NS


@attrs.define
class MirrorFiles:
    """The mirrors below one folder.  Blocks; for one thread at a time."""

    root: Path
    archive: Path
    _written: dict[str, _Written] = attrs.field(factory=dict)
    _restored: list[Restored] = attrs.field(factory=list)

    def put(self, name: str, body: str, *, epoch: str, seq: int) -> None:
        """See that the mirror *name* has this body, and says no later change than *seq*.

        One that is right already is left alone; an empty one is not worth a new file.

        Raises:
            OSError: it cannot be written.
        """
        found = self.look(name)
        if (found is None and not body) or (found and found.holds(body, epoch=epoch, seq=seq)):
            return
        path, new = self.root / name, seal(body, epoch=epoch, seq=seq)
        make_folder(path.parent, below=self.root)
        written = replace_file(path, new.over(name, body), mode=0o644)
        self._written[name] = _Written.now(new, written)

    def look(self, name: str) -> Seal | None:
        """Return the seal of what we wrote there; anything else is put aside."""
        known, path = self._written.pop(name, None), self.root / name
        found = _stat(path)
        if found is None:
            if known is not None:
                self._restored.append(Restored(name, None))
            return None
        ours = _ours(path, found, known)
        if ours is None:
            self._restored.append(Restored(name, self._put_aside(name, path, found)))
            return None
        self._written[name] = ours
        return ours.seal

    def lost(self) -> list[str]:
        """Return the mirrors that are no more what we wrote there, and have to be put again."""
        lost = []
        for name, known in list(self._written.items()):
            path = self.root / name
            found = _stat(path)
            ours = None if found is None else _ours(path, found, known)
            if ours is None:
                lost.append(name)
            else:
                self._written[name] = ours
        return lost

    def take_restored(self) -> list[Restored]:
        """Return what was changed by others since the last call."""
        restored, self._restored = self._restored, []
        return restored

    def _put_aside(self, name: str, path: Path, found: os.stat_result) -> str:
        make_folder(self.archive, below=self.root)
        flat = PurePath(name.replace("/", "-"))
        # The same file has the same name: an attempt that failed later on has kept it already.
        what = f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"
        mark = hashlib.sha256(what.encode()).hexdigest()[:8]
        kept = self.archive / f"{flat.stem}-found-{mark}{flat.suffix}"
        try:
            # A second name, so that readers always find something under the first.
            os.link(path, kept, follow_symlinks=False)
        except FileExistsError:
            pass
        except OSError:  # a folder, or a file system without links
            path.rename(kept)
        sync_folder(self.archive)
        return kept.relative_to(self.root).as_posix()


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _ours(path: Path, found: os.stat_result, known: _Written | None) -> _Written | None:
    """Return what is there, if we wrote it.  It is read only where a look does not tell."""
    if known is not None and known.stands(found):
        return known
    raw = read_plain(path, MAX_BYTES)
    sealed = None if raw is None else seal_of(raw)
    # A seal alone is not enough: somebody may have put an older mirror back.
    if sealed is None or (known is not None and known.seal != sealed):
        return None
    return _Written.now(sealed, found)


def make_folder(folder: Path, *, below: Path) -> None:
    """Make *folder* a real one, and those between; what is in the way gets another name.

    Raises:
        OSError: *below* is no folder, or may not be written.
    """
    below.mkdir(parents=True, exist_ok=True)
    path = below
    for part in folder.relative_to(below).parts:
        path /= part
        try:
            path.mkdir()
        except FileExistsError:
            # A link to a folder would lead us, and what we write, away from the project.
            if not stat.S_ISDIR(path.lstat().st_mode):
                path.rename(path.with_name(f"{part}-found-{secrets.token_hex(4)}"))
                path.mkdir()
