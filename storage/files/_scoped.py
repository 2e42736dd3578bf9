"""The operations of one caller on one project: policy, then kernel, then an answer or a refusal.

They block, and take no locks: see :mod:`._files` for what actors and doors use.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, Final, ParamSpec, TypeVar

import attrs

from .._errors import NotFound
from . import _moving, _reading, _writing
from ._access import Access, Operation, authorise, may_see
from ._changes import FileChange, Wanted
from ._foresight import Foreseen, foresee, is_still_to_do
from ._names import shown, split
from ._reasons import Reason, refusal, refusal_of
from ._records import Content, Entry, Found, Stat, Written
from ._search import Query, search
from ._workspace import Workspace
from ._writing import Edit, Expected

_MAX_OFFSET: Final = 2**63 - 1
"""As far as the kernel counts."""

P = ParamSpec("P")
R = TypeVar("R")
Method = Callable[Concatenate["ScopedFiles", str, P], R]


def _typed(method: Method[P, R]) -> Method[P, R]:
    """Let what the system refuses leave as one of our errors."""

    @functools.wraps(method)
    def typed(self: ScopedFiles, path: str, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(self, path, *args, **kwargs)
        except OSError as failure:
            # It passed the policy, or nothing would have been opened.
            raise refusal_of(failure, shown(split(path))) from failure

    return typed


@attrs.frozen
class ScopedFiles:
    """What *access* allows in a project.

    Every method raises Invalid or Forbidden for what the policy refuses, NotFound, Conflict or
    Forbidden for what is there, Limited for what is too much, and Unavailable for a disk that is
    full or fails; `details["reason"]` is a :class:`._reasons.Reason`.
    """

    place: Workspace
    access: Access

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> Content:
        """Read a file, or *length* bytes of it from byte *offset* on."""
        names = authorise(self.access, Operation.READ, path)
        if not 0 <= offset <= _MAX_OFFSET or (length is not None and length < 0):
            raise refusal(
                Reason.ARGUMENT_INVALID,
                "A range begins at 0 or later, and before 2**63.",
                field="offset",
            )
        try:  # not decorated: this is what is called most, and measured
            return _reading.read(self.place, names, offset, length)
        except OSError as failure:
            raise refusal_of(failure, shown(names)) from failure

    @_typed
    def list(self, path: str) -> tuple[Entry, ...]:
        """Return what is in a folder."""
        names = authorise(self.access, Operation.LIST, path)
        entries = _reading.list_entries(self.place, names)
        if names:
            return entries
        return tuple(entry for entry in entries if may_see(self.access, entry.name))

    @_typed
    def stat(self, path: str) -> Stat:
        """Return what is known of a file or folder."""
        return _reading.stat(self.place.root, authorise(self.access, Operation.STAT, path))

    @_typed
    def exists(self, path: str) -> bool:
        """Whether there is a file or folder; a link, pipe or the like is refused, not denied."""
        names = authorise(self.access, Operation.EXISTS, path)
        try:
            _reading.stat(self.place.root, names)
        except (FileNotFoundError, NotADirectoryError, NotFound):
            return False
        return True

    @_typed
    def search(self, path: str, text: str, *, glob: str = "*", ignore_case: bool = False) -> Found:
        """Return the lines that hold *text* in the files below a folder."""
        names = authorise(self.access, Operation.SEARCH, path)
        if not text:
            raise refusal(Reason.ARGUMENT_INVALID, "Give a text to look for.", field="text")
        return search(self.place, self.access, names, Query(text, glob, ignore_case))

    @_typed
    def write(
        self, path: str, data: bytes, *, expected: Expected = None, overwrite: bool = True
    ) -> Written:
        """Make a file hold *data*; *expected* is the SHA-256 that it must have, or "absent"."""
        names = authorise(self.access, Operation.WRITE, path)
        return _writing.write(self.place, names, data, expected=expected, overwrite=overwrite)

    @_typed
    def append(self, path: str, data: bytes) -> Written:
        """Add *data* at the end of a file, which is made if need be."""
        names = authorise(self.access, Operation.APPEND, path)
        return _writing.append(self.place, names, data)

    @_typed
    def edit(
        self,
        path: str,
        old: bytes,
        new: bytes,
        *,
        expected: Expected = None,
        everywhere: bool = False,
    ) -> Written:
        """Replace *old*, which occurs exactly once unless *everywhere* is meant, by *new*."""
        names = authorise(self.access, Operation.EDIT, path)
        return _writing.edit(self.place, names, Edit(old, new, everywhere), expected=expected)

    @_typed
    def mkdir(self, path: str, *, parents: bool = False) -> None:
        """Make a folder, with *parents* also those above it."""
        names = authorise(self.access, Operation.MKDIR, path)
        _moving.make_folder(self.place, names, parents=parents)

    @_typed
    def move(self, source: str, target: str, *, overwrite: bool = False) -> None:
        """Rename a file or folder; only a file overwrites, and only a file."""
        from_ = authorise(self.access, Operation.MOVE_FROM, source)
        to = authorise(self.access, Operation.MOVE_TO, target)
        _moving.move(self.place, from_, to, overwrite=overwrite)

    @_typed
    def delete(self, path: str, *, recursive: bool = False) -> None:
        """Delete anything, a link instead of its target; a folder that is not empty if asked."""
        names = authorise(self.access, Operation.DELETE, path)
        _moving.delete(self.place, names, recursive=recursive)

    def foresee(self, wanted: Wanted) -> Foreseen:
        """Return what *wanted* would change; raises as that would, for what is there now."""
        try:
            return foresee(self, wanted)
        except OSError as failure:
            raise refusal_of(failure, shown(split(wanted.path))) from failure

    def is_still_to_do(self, change: FileChange, wanted: Wanted) -> bool:
        """Whether everything is as it was before *change*, which *wanted* had begun."""
        try:
            return is_still_to_do(self, change, wanted)
        except OSError as failure:
            raise refusal_of(failure, shown(split(wanted.path))) from failure
