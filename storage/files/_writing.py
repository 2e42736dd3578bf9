"""The operations that give a file new bytes: whole, durable, and never over somebody's change.

The bytes are staged outside of every project and renamed into place, so a reader, or a power
cut, finds the old file or the new one.  Over an existing file the two are *exchanged* and what
came out is looked at: if somebody who takes no lock of ours wrote meanwhile, it is put back.
"""

from __future__ import annotations

import os
from typing import Final, Literal, TypeAlias

import attrs

from ._characters import fold
from ._kinds import Kind, check_file, kind_of
from ._limits import Limits
from ._names import Names
from ._reading import read
from ._reasons import Reason, refusal
from ._records import Content, Written, sha256
from ._rename import Unsupported, exchange, rename_new
from ._root import ProjectRoot, Staged, identity_of, look
from ._workspace import Workspace

Expected: TypeAlias = str | Literal["absent"] | None
"""The SHA-256 that the file must have, or that there must be none; None for whatever is there."""


@attrs.frozen
class Edit:
    """The bytes *old*, which occur once unless *everywhere* is meant, become *new*."""

    old: bytes
    new: bytes
    everywhere: bool = False


@attrs.frozen
class Draft:
    """What a file is to hold, and what it must have held."""

    data: bytes = attrs.field(repr=False)
    expected: Expected = None


@attrs.frozen
class _Seen:
    """What stood in a file's place, and what the caller had expected there."""

    found: os.stat_result | None
    expected: Expected


_RETURNS: Final = 64
"""How often a file is handed back to somebody who writes all the time."""


def write(
    place: Workspace,
    names: Names,
    data: bytes,
    *,
    expected: Expected = None,
    overwrite: bool = True,
) -> Written:
    """Make the file hold *data*."""
    _check_size(len(data), place.limits)
    # What is called most is spelt out here and below: five context managers made of generators
    # would take as long as all the rest that is not the disk.
    folder = place.root.open_folder(names[:-1])
    try:
        seen = _Seen(look(folder, names[-1]), expected)
        if seen.found is None:
            _check_absent_is_fine(names, expected)
            check_room(folder, names, place.limits)
        else:
            _check_old(place, names, seen.found, expected, overwrite=overwrite)
        _put_charged(place, names, folder, data, seen)
    finally:
        os.close(folder)
    return Written(sha256(data), len(data), created=seen.found is None)


def append(place: Workspace, names: Names, data: bytes) -> Written:
    """Add *data* at the end; the file need not exist.

    It is rewritten as a whole: a reader never sees half of *data*, at the price of a copy.
    """
    draft = appended(place, names, data)
    return write(place, names, draft.data, expected=draft.expected)


def appended(place: Workspace, names: Names, data: bytes) -> Draft:
    """Return what :func:`append` would write."""
    old = _read_if_there(place, names)
    if old is None:
        return Draft(data, "absent")
    _check_size(old.size + len(data), place.limits)
    return Draft(old.data + data, old.sha256)


def edit(
    place: Workspace,
    names: Names,
    change: Edit,
    *,
    expected: Expected = None,
) -> Written:
    """Replace some bytes of a file."""
    draft = edited(place, names, change, expected=expected)
    return write(place, names, draft.data, expected=draft.expected)


def edited(place: Workspace, names: Names, change: Edit, *, expected: Expected = None) -> Draft:
    """Return what :func:`edit` would write."""
    content = read(place, names)
    if expected is not None:
        _check_hash(names, expected, content.data)
    count = content.data.count(change.old) if change.old else 0
    if count == 0 or (count > 1 and not change.everywhere):
        raise _mismatch(names, count)
    _check_size(content.size + count * (len(change.new) - len(change.old)), place.limits)
    return Draft(content.data.replace(change.old, change.new), content.sha256)


def check_write(place: Workspace, names: Names, draft: Draft, *, overwrite: bool) -> None:
    """Refuse what :func:`write` would refuse for what stands there now."""
    _check_size(len(draft.data), place.limits)
    with place.root.folder(names[:-1]) as folder:
        found = look(folder, names[-1])
        if found is None:
            _check_absent_is_fine(names, draft.expected)
            check_room(folder, names, place.limits)
            return
    _check_old(place, names, found, draft.expected, overwrite=overwrite)


def _check_size(size: int, limits: Limits) -> None:
    """Refuse a file larger than the limit."""
    if size > limits.write:
        raise refusal(
            Reason.TOO_LARGE,
            f"The file would have {size} bytes, and {limits.write} are allowed: use several files",
            size=size,
            limit=limits.write,
        )


def check_room(folder: int, names: Names, limits: Limits) -> None:
    """Refuse a new name that is another file's on a file system which folds case or accents.

    On such a one, `Readme.md` would overwrite `README.md` (CVE-2021-21300 and its kin).
    """
    wanted = fold(names[-1])
    found = os.listdir(folder)
    if len(found) >= limits.folder:
        raise refusal(
            Reason.TOO_MANY_ENTRIES,
            f"The folder of {'/'.join(names)} has {len(found)} entries: use another folder",
            limit=limits.folder,
        )
    for name in found:
        if name != names[-1] and fold(name) == wanted:
            raise refusal(
                Reason.CASE_COLLISION,
                f"{'/'.join(names)} differs from a name that exists by case or form only:"
                " use that one",
                path="/".join(names),
                existing=os.fsencode(name).decode(errors="backslashreplace"),
            )


def _read_if_there(place: Workspace, names: Names) -> Content | None:
    try:
        with place.root.folder(names[:-1]) as folder:
            if look(folder, names[-1]) is None:
                return None
        return read(place, names)
    except FileNotFoundError:
        return None


def _check_old(
    place: Workspace, names: Names, old: os.stat_result, expected: Expected, *, overwrite: bool
) -> None:
    check_file(old, names)
    if not overwrite or expected == "absent":
        raise _exists(names)
    if expected is not None:
        _check_hash(names, expected, read(place, names).data)


def _check_absent_is_fine(names: Names, expected: Expected) -> None:
    if expected not in {None, "absent"}:
        raise _changed(names, actual=None)


def _check_hash(names: Names, expected: str, data: bytes) -> None:
    actual = sha256(data)
    if actual != expected:
        raise _changed(names, actual)


def _put_charged(place: Workspace, names: Names, folder: int, data: bytes, seen: _Seen) -> None:
    more, files = len(data), 1
    if seen.found is not None:
        more, files = more - seen.found.st_size, 0
    place.quota.reserve(place.root, size=more, files=files)
    try:
        _put(place.root, names, folder, data, seen)
    except BaseException:
        place.quota.discount(size=more, files=files)
        raise


def _put(root: ProjectRoot, names: Names, folder: int, data: bytes, seen: _Seen) -> None:
    name, old = names[-1], seen.found
    staged = root.stage(data, None if old is None else old.st_mode, beside=folder)
    try:
        if old is None:
            rename_new(staged.name, staged.folder, name, folder)
        else:
            _replace(root, staged, names, folder, seen.expected)
        if not root.leads_to(names[:-1], folder):
            _undo(staged, name, folder, replaced=old is not None)
            raise moved_away(names)
    finally:
        root.discard(staged)
    os.fsync(folder)


def _replace(
    root: ProjectRoot, staged: Staged, names: Names, folder: int, expected: Expected
) -> None:
    name = names[-1]
    try:
        exchange(staged.name, staged.folder, name, folder)
    except Unsupported:
        os.replace(staged.name, name, src_dir_fd=staged.folder, dst_dir_fd=folder)
        return
    except FileNotFoundError:
        if expected is not None:
            raise _changed(names, actual=None) from None
        rename_new(staged.name, staged.folder, name, folder)
        return
    if not _came_out_as(root, staged, expected):
        _give_back(staged, name, folder)
        raise _changed(names, actual=None)


def _came_out_as(root: ProjectRoot, staged: Staged, expected: Expected) -> bool:
    """Whether what stood in the file's place was what the caller had seen there."""
    found = look(staged.folder, staged.name)
    if found is None or kind_of(found) is not Kind.FILE:
        return False
    return expected is None or sha256(root.read_staged(staged)) == expected


def _give_back(staged: Staged, name: str, folder: int) -> None:
    """Let the newest of the other writer's files have its name again."""
    ours = staged.identity
    for _ in range(_RETURNS):
        returned = look(staged.folder, staged.name)
        exchange(staged.name, staged.folder, name, folder)
        came = look(staged.folder, staged.name)
        if returned is None or came is None or identity_of(came) == ours:
            return
        ours = identity_of(returned)


def _undo(staged: Staged, name: str, folder: int, *, replaced: bool) -> None:
    found = look(folder, name)
    if found is None or identity_of(found) != staged.identity:
        return
    if replaced and look(staged.folder, staged.name) is not None:
        exchange(staged.name, staged.folder, name, folder)
    else:
        os.unlink(name, dir_fd=folder)


def moved_away(names: Names) -> Exception:
    """Make the refusal for a folder that left its place during the operation."""
    path = "/".join(names)
    return refusal(
        Reason.OUTSIDE_JAIL, f"The folder of {path} was moved meanwhile: nothing is changed."
    )


def _exists(names: Names) -> Exception:
    path = "/".join(names)
    return refusal(
        Reason.ALREADY_EXISTS,
        f"{path} exists already: ask to overwrite it, or choose another name",
        path=path,
    )


def _changed(names: Names, actual: str | None) -> Exception:
    path = "/".join(names)
    return refusal(
        Reason.CONFLICT,
        f"{path} is not as you read it: read it again, and write nothing until then",
        path=path,
        sha256=actual,
    )


def _mismatch(names: Names, count: int) -> Exception:
    path = "/".join(names)
    return refusal(
        Reason.EDIT_MISMATCH,
        f"The text to replace occurs {count} times in {path}, and must occur once:"
        " read the file again, and give more of what stands around it",
        path=path,
        count=count,
    )
