"""What may be asked to be changed, and what a change was: values for doors, locks and the log."""

from __future__ import annotations

import hashlib
import json
from typing import ClassVar, TypeAlias

import attrs

from ._access import SECRETS, Operation, is_secret
from ._writing import Expected


@attrs.frozen
class WriteFile:
    """Make a file hold *data*; *expected* is the SHA-256 that it must have, or "absent"."""

    OPERATION: ClassVar[str] = "write"

    path: str
    data: bytes = attrs.field(repr=False)
    expected: Expected = None
    overwrite: bool = True


@attrs.frozen
class AppendToFile:
    """Add *data* at the end of a file, which is made if need be."""

    OPERATION: ClassVar[str] = "append"

    path: str
    data: bytes = attrs.field(repr=False)


@attrs.frozen
class EditFile:
    """Replace *old*, which occurs exactly once unless *everywhere* is meant, by *new*."""

    OPERATION: ClassVar[str] = "edit"

    path: str
    old: bytes = attrs.field(repr=False)
    new: bytes = attrs.field(repr=False)
    everywhere: bool = False
    expected: Expected = None


@attrs.frozen
class MakeFolder:
    """Make a folder, with *parents* also those above it."""

    OPERATION: ClassVar[str] = "mkdir"

    path: str
    parents: bool = False


@attrs.frozen
class Move:
    """Rename a file or folder; only a file overwrites, and only a file."""

    OPERATION: ClassVar[str] = "move"

    path: str
    target: str
    overwrite: bool = False


@attrs.frozen
class Delete:
    """Delete anything, a link instead of its target; a folder that is not empty if asked."""

    OPERATION: ClassVar[str] = "delete"

    path: str
    recursive: bool = False


Wanted: TypeAlias = WriteFile | AppendToFile | EditFile | MakeFolder | Move | Delete


@attrs.frozen
class FileChange:
    """One change of a project's files; all of it is JSON, and none of it is content."""

    operation: str
    """`write`, `append`, `edit`, `mkdir`, `move` or `delete`."""
    path: str
    kind: str
    """`file`, `folder`, or of what is deleted also `link` and `special`."""
    created: bool
    """Whether there was nothing in its place."""
    size: int | None = None
    """In bytes, of the file afterwards; of one that is deleted, before."""
    before: str | None = None
    """SHA-256 of the file as it was; None of no file, and of one too large to be read at once."""
    after: str | None = None
    """SHA-256 of the file as it becomes; likewise."""
    target: str | None = None
    """Of a move: where to."""
    request: str = ""
    """What was asked, as :func:`fingerprint` has it."""
    made: bool = False
    """Whether it is known to have been made; where it is not, a crash may have come between."""


def as_told(change: FileChange) -> FileChange:
    """Return what everybody may read of *change*: of secrets neither names, sizes nor digests."""
    paths = (change.path, change.target or "")
    if not any(is_secret(path.partition("/")[0]) for path in paths):
        return change
    path, target = (SECRETS if is_secret(path.partition("/")[0]) else path for path in paths)
    return attrs.evolve(
        change, path=path, target=target or None, size=None, before=None, after=None
    )


def fingerprint(wanted: Wanted) -> str:
    """Return a digest that two requests share if they ask for the same."""
    fields = attrs.asdict(
        wanted,
        value_serializer=lambda _, __, value: (
            hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else value
        ),
    )
    text = json.dumps([type(wanted).__name__, fields], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def uses(wanted: Wanted) -> tuple[tuple[Operation, str], ...]:
    """Return which path is used for what, for the policy."""
    match wanted:
        case WriteFile(path):
            return ((Operation.WRITE, path),)
        case AppendToFile(path):
            return ((Operation.APPEND, path),)
        case EditFile(path):
            return ((Operation.EDIT, path),)
        case MakeFolder(path):
            return ((Operation.MKDIR, path),)
        case Move(path, target):
            return (Operation.MOVE_FROM, path), (Operation.MOVE_TO, target)
        case Delete(path):
            return ((Operation.DELETE, path),)


def of_one_file(wanted: Wanted) -> bool:
    """Whether it leaves all other files, and all folders, as they are."""
    match wanted:
        case WriteFile() | AppendToFile() | EditFile():
            return True
        case Delete(recursive=recursive):
            return not recursive
        case MakeFolder() | Move():
            return False
