"""What an operation is going to change, found out before it does: for the log, and for keys.

Refuses what the operation itself would refuse for what is there now.  Nothing is changed here, and
nothing is believed later: the operation looks again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import attrs

from . import _moving, _writing
from ._access import authorise
from ._changes import (
    AppendToFile,
    Delete,
    EditFile,
    FileChange,
    MakeFolder,
    Move,
    Wanted,
    WriteFile,
    fingerprint,
    uses,
)
from ._kinds import Kind, check_usable, is_usable, kind_of
from ._names import Names, shown
from ._reading import read
from ._reasons import Reason, refusal
from ._records import sha256
from ._root import look
from ._workspace import Workspace
from ._writing import Draft, Edit

if TYPE_CHECKING:
    from ._scoped import ScopedFiles

Act: TypeAlias = Callable[["ScopedFiles"], object]


@attrs.frozen
class Foreseen:
    """A change, and the call that makes it."""

    change: FileChange
    act: Act


@attrs.frozen
class _Standing:
    """What stands under a name now."""

    found: os.stat_result | None = None
    sha256: str | None = None

    @property
    def kind(self) -> Kind | None:
        return None if self.found is None else kind_of(self.found)

    @property
    def size(self) -> int | None:
        return self.found.st_size if self.found and self.kind is Kind.FILE else None


def foresee(files: ScopedFiles, wanted: Wanted) -> Foreseen:
    """Find out what *wanted* would change.

    Raises:
        MissionError: it would be refused, for this reason.
        OSError: it would fail.
    """
    first, *others = (authorise(files.access, *use) for use in uses(wanted))
    match wanted:
        case WriteFile() | AppendToFile() | EditFile():
            return _of_content(files.place, first, wanted)
        case MakeFolder():
            return _of_folder(files.place, first, wanted)
        case Move():
            return _of_move(files.place, first, others[0], wanted)
        case Delete():
            return _of_delete(files.place, first, wanted)


def is_still_to_do(files: ScopedFiles, change: FileChange, wanted: Wanted) -> bool:
    """Whether nothing was done yet of *change*, of which it is only known that it was begun.

    Raises:
        MissionError: what is there is neither what it was before nor what it was to become.
    """
    first, *others = (authorise(files.access, *use) for use in uses(wanted))
    now = _stand(files.place, first)
    there = _stand(files.place, others[0]) if others else now
    to_do, done = _progress(wanted, change, now, there)
    if not to_do and not done:
        raise _uncertain(first)
    return to_do


def _progress(
    wanted: Wanted, change: FileChange, now: _Standing, there: _Standing
) -> tuple[bool, bool]:
    """Return whether it looks as before the change, and whether as after it."""
    match wanted:
        case WriteFile() | AppendToFile() | EditFile():
            as_before = (now.kind, now.sha256) == (change.kind, change.before)
            to_do = now.found is None if change.created else as_before
            return to_do, now.sha256 is not None and now.sha256 == change.after
        case MakeFolder():
            return now.found is None, now.kind is Kind.FOLDER
        case Move():
            to_do = _is_same(now, change) and (there.found is None) is change.created
            return to_do, now.found is None and _is_same(there, change)
        case Delete(recursive=recursive):
            # Which folder it is nothing tells, and one that is deleted is gone with all in it.
            to_do = _is_same(now, change) and not (recursive and now.kind is Kind.FOLDER)
            return to_do, now.found is None


def _is_same(now: _Standing, change: FileChange) -> bool:
    return (now.kind, now.size, now.sha256) == (change.kind, change.size, change.before)


def _uncertain(names: Names) -> Exception:
    path = "/".join(names)
    return refusal(
        Reason.CONFLICT,
        f"{path} was changed since this was asked for first, and nothing tells whether it was done"
        " then: look at it, and take a new idempotency_key for what is left to do",
        path=path,
    )


def _of_content(
    place: Workspace, names: Names, wanted: WriteFile | AppendToFile | EditFile
) -> Foreseen:
    draft, old = _draft(place, names, wanted), _stand(place, names)
    overwrite = not isinstance(wanted, WriteFile) or wanted.overwrite
    change = _change(wanted, names, Kind.FILE, created=old.found is None)
    change = attrs.evolve(change, size=len(draft.data), before=old.sha256, after=sha256(draft.data))
    return Foreseen(
        change,
        lambda it: it.write(wanted.path, draft.data, expected=draft.expected, overwrite=overwrite),
    )


def _draft(place: Workspace, names: Names, wanted: WriteFile | AppendToFile | EditFile) -> Draft:
    match wanted:
        case WriteFile(_, data, expected, overwrite):
            draft = Draft(data, expected)
            _writing.check_write(place, names, draft, overwrite=overwrite)
            return draft
        case AppendToFile(_, data):
            return _writing.appended(place, names, data)
        case EditFile(_, old, new, everywhere, expected):
            return _writing.edited(place, names, Edit(old, new, everywhere), expected=expected)


def _of_folder(place: Workspace, names: Names, wanted: MakeFolder) -> Foreseen:
    old = _stand(place, names)
    if old.found is not None:
        check_usable(old.found, names)
        raise _moving.exists(names)
    change = _change(wanted, names, Kind.FOLDER, created=True)
    return Foreseen(change, lambda it: it.mkdir(wanted.path, parents=wanted.parents))


def _of_move(place: Workspace, source: Names, target: Names, wanted: Move) -> Foreseen:
    _moving.check_move(place, source, target, overwrite=wanted.overwrite)
    old, there = _stand(place, source), _stand(place, target)
    change = attrs.evolve(
        _change(wanted, source, old.kind or Kind.FILE, created=there.found is None),
        size=old.size,
        before=old.sha256,
        after=old.sha256,
        target=shown(target),
    )
    return Foreseen(
        change, lambda it: it.move(wanted.path, wanted.target, overwrite=wanted.overwrite)
    )


def _of_delete(place: Workspace, names: Names, wanted: Delete) -> Foreseen:
    old = _stand(place, names)
    if old.kind is None:
        raise _moving.missing(names)
    change = attrs.evolve(
        _change(wanted, names, old.kind, created=False), size=old.size, before=old.sha256
    )
    return Foreseen(change, lambda it: it.delete(wanted.path, recursive=wanted.recursive))


def _change(wanted: Wanted, names: Names, kind: Kind, *, created: bool) -> FileChange:
    return FileChange(
        wanted.OPERATION, shown(names), kind.value, created, request=fingerprint(wanted)
    )


def _stand(place: Workspace, names: Names) -> _Standing:
    try:
        with place.root.folder(names[:-1]) as folder:
            found = look(folder, names[-1])
    except FileNotFoundError:
        return _Standing()
    whole = found is not None and kind_of(found) is Kind.FILE and is_usable(found)
    if found is None or not whole or found.st_size > place.limits.read:
        return _Standing(found)
    return _Standing(found, read(place, names).sha256)
