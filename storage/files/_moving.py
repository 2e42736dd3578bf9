"""The operations that change which names there are."""

from __future__ import annotations

import os

from ._characters import fold
from ._descent import remove
from ._kinds import Kind, check_file, check_usable, kind_of
from ._names import Names, file_key
from ._reasons import Reason, refusal
from ._rename import rename_new
from ._root import look
from ._workspace import Workspace
from ._writing import check_room, moved_away


def make_folder(place: Workspace, names: Names, *, parents: bool = False) -> None:
    """Make a folder that was not there, with *parents* also those above it."""
    if parents:
        for depth in range(1, len(names)):
            _make_ifmissing(place, names[:depth])
    _make(place, names)


def move(place: Workspace, source: Names, target: Names, *, overwrite: bool = False) -> None:
    """Rename a file or folder; only a file is ever overwritten, by a file."""
    _check_elsewhere(source, target)
    root = place.root
    with root.folder(source[:-1]) as from_folder, root.folder(target[:-1]) as to_folder:
        _check_source(source, from_folder)
        there = look(to_folder, target[-1])
        if not root.leads_to(target[:-1], to_folder):
            raise moved_away(target)
        if there is None:
            if fold(source[-1]) != fold(target[-1]) or source[:-1] != target[:-1]:
                check_room(to_folder, target, place.limits)
            rename_new(source[-1], from_folder, target[-1], to_folder)
        else:
            _check_target(target, there, overwrite=overwrite)
            os.replace(source[-1], target[-1], src_dir_fd=from_folder, dst_dir_fd=to_folder)
            place.quota.discount(size=there.st_size, files=1)
        os.fsync(to_folder)
        os.fsync(from_folder)


def check_move(place: Workspace, source: Names, target: Names, *, overwrite: bool) -> None:
    """Refuse what :func:`move` would refuse for what stands there now."""
    _check_elsewhere(source, target)
    root = place.root
    with root.folder(source[:-1]) as from_folder, root.folder(target[:-1]) as to_folder:
        _check_source(source, from_folder)
        there = look(to_folder, target[-1])
        if there is not None:
            _check_target(target, there, overwrite=overwrite)


def delete(place: Workspace, names: Names, *, recursive: bool = False) -> None:
    """Delete anything: of a link only the link, of a folder only if empty or *recursive*."""
    with place.root.folder(names[:-1]) as folder:
        found = look(folder, names[-1])
        if found is None:
            raise missing(names)
        if not place.root.leads_to(names[:-1], folder):
            raise moved_away(names)
        if kind_of(found) is not Kind.FOLDER:
            os.unlink(names[-1], dir_fd=folder)
            place.quota.discount(size=found.st_size, files=1)
        elif recursive:
            try:
                remove(place.root, folder, names[-1], place.limits)
            finally:
                place.quota.doubt()
        else:
            os.rmdir(names[-1], dir_fd=folder)
            place.quota.discount(size=0, files=1)
        os.fsync(folder)


def _make_ifmissing(place: Workspace, names: Names) -> None:
    with place.root.folder(names[:-1]) as folder:
        found = look(folder, names[-1])
    if found is None:
        _make(place, names)
    else:
        check_usable(found, names)


def _make(place: Workspace, names: Names) -> None:
    with place.root.folder(names[:-1]) as folder:
        found = look(folder, names[-1])
        if found is not None:
            check_usable(found, names)
            raise exists(names)
        check_room(folder, names, place.limits)
        if not place.root.leads_to(names[:-1], folder):
            raise moved_away(names)
        place.quota.reserve(place.root, size=0, files=1)
        try:
            os.mkdir(names[-1], 0o755, dir_fd=folder)
        except OSError:
            place.quota.discount(size=0, files=1)
            raise
        os.fsync(folder)


def _check_elsewhere(source: Names, target: Names) -> None:
    if source == target:
        raise refusal(Reason.PATH_INVALID, "It is there already: name another.", field="target")
    if len(target) > len(source) and file_key(target[: len(source)]) == file_key(source):
        raise refusal(Reason.PATH_INVALID, "A folder cannot be moved into itself.", field="target")


def _check_source(names: Names, folder: int) -> None:
    found = look(folder, names[-1])
    if found is None:
        raise missing(names)
    check_usable(found, names)


def _check_target(names: Names, found: os.stat_result, *, overwrite: bool) -> None:
    if not overwrite:
        raise exists(names)
    check_file(found, names)


def missing(names: Names) -> Exception:
    """Make the refusal for what is not there."""
    path = "/".join(names)
    return refusal(Reason.NOT_FOUND, f"{path} does not exist: list its folder", path=path)


def exists(names: Names) -> Exception:
    """Make the refusal for a place that is taken."""
    path = "/".join(names)
    return refusal(
        Reason.ALREADY_EXISTS,
        f"{path} exists already: choose another name, or delete it",
        path=path,
    )
