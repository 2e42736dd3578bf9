"""Why a file operation was refused: one word each, under the kinds of :mod:`.._errors`.

The word travels as `details["reason"]`; a program may branch on it.  Messages name a path only
after it was found to be a clean relative one, so that no refusal tells of the host, nor of
anything outside a project (not even whether it exists).
"""

from __future__ import annotations

import enum
import errno
from typing import Final

from .._errors import Conflict, Forbidden, Invalid, Limited, MissionError, NotFound, Unavailable


class Reason(enum.StrEnum):
    """The reasons, with what each means."""

    ARGUMENT_INVALID = "argument_invalid"
    """One that is no path: a range, or a text to look for."""
    PATH_INVALID = "path_invalid"
    """Empty, too long or deep, not text, or with control characters."""
    PATH_TRAVERSAL = "path_traversal"
    """`..`, an absolute path, `~`, a drive or a URL."""
    PATH_ENCODED = "path_encoded"
    """Per cent escapes that somebody might decode to one of the above."""
    PATH_UNICODE = "path_unicode"
    """Invisible characters, look-alikes of separators, not NFC."""
    NAME_RESERVED = "name_reserved"
    """A name that is another one, or none, on some system."""
    PATH_PROTECTED = "path_protected"
    """The service's own."""
    SCOPE_DENIED = "scope_denied"
    """Not this caller's to write."""
    SYMLINK_DENIED = "symlink_denied"
    HARDLINK_DENIED = "hardlink_denied"
    SPECIAL_FILE = "special_file"
    OUTSIDE_JAIL = "outside_jail"
    """On another file system, or moved out of the project meanwhile."""
    CASE_COLLISION = "case_collision"
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    NOT_A_FILE = "not_a_file"
    NOT_A_DIRECTORY = "not_a_directory"
    DIRECTORY_NOT_EMPTY = "directory_not_empty"
    CONFLICT = "conflict"
    EDIT_MISMATCH = "edit_mismatch"
    NOT_TEXT = "not_text"
    TOO_LARGE = "too_large"
    TOO_MANY_ENTRIES = "too_many_entries"
    QUOTA_EXCEEDED = "quota_exceeded"
    TOO_MANY_OPERATIONS = "too_many_operations"
    """At once, in one project."""
    NO_SPACE = "no_space"
    CONTENDED = "contended"
    ACCESS_DENIED = "access_denied"
    """By the operating system."""
    IO_FAILURE = "io_failure"
    BACKEND_UNAVAILABLE = "backend_unavailable"


_KINDS: Final[dict[Reason, type[MissionError]]] = {
    Reason.ARGUMENT_INVALID: Invalid,
    Reason.PATH_INVALID: Invalid,
    Reason.PATH_TRAVERSAL: Forbidden,
    Reason.PATH_ENCODED: Invalid,
    Reason.PATH_UNICODE: Invalid,
    Reason.NAME_RESERVED: Invalid,
    Reason.PATH_PROTECTED: Forbidden,
    Reason.SCOPE_DENIED: Forbidden,
    Reason.SYMLINK_DENIED: Forbidden,
    Reason.HARDLINK_DENIED: Forbidden,
    Reason.SPECIAL_FILE: Forbidden,
    Reason.OUTSIDE_JAIL: Forbidden,
    Reason.CASE_COLLISION: Conflict,
    Reason.NOT_FOUND: NotFound,
    Reason.ALREADY_EXISTS: Conflict,
    Reason.NOT_A_FILE: Invalid,
    Reason.NOT_A_DIRECTORY: Invalid,
    Reason.DIRECTORY_NOT_EMPTY: Conflict,
    Reason.CONFLICT: Conflict,
    Reason.EDIT_MISMATCH: Conflict,
    Reason.NOT_TEXT: Invalid,
    Reason.TOO_LARGE: Limited,
    Reason.TOO_MANY_ENTRIES: Limited,
    Reason.QUOTA_EXCEEDED: Limited,
    Reason.TOO_MANY_OPERATIONS: Limited,
    Reason.NO_SPACE: Unavailable,
    Reason.CONTENDED: Unavailable,
    Reason.ACCESS_DENIED: Forbidden,
    Reason.IO_FAILURE: Unavailable,
    Reason.BACKEND_UNAVAILABLE: Unavailable,
}

_BY_ERRNO: Final[dict[int, tuple[Reason, str]]] = {
    errno.ENOENT: (Reason.NOT_FOUND, "does not exist: list its folder"),
    errno.EEXIST: (Reason.ALREADY_EXISTS, "exists already: ask to overwrite, or choose a name"),
    errno.ENOTDIR: (Reason.NOT_A_DIRECTORY, "goes through something that is no folder"),
    errno.EISDIR: (Reason.NOT_A_FILE, "is a folder: name a file"),
    errno.ELOOP: (Reason.SYMLINK_DENIED, "goes through a symbolic link: name the file itself"),
    errno.EXDEV: (Reason.OUTSIDE_JAIL, "is on another file system, outside the project"),
    errno.ENOTEMPTY: (Reason.DIRECTORY_NOT_EMPTY, "is not empty: delete it recursively"),
    errno.EINVAL: (Reason.PATH_INVALID, "cannot be used for this: choose another path"),
    errno.ENAMETOOLONG: (Reason.PATH_INVALID, "is too long for the file system: shorten it"),
    errno.ENXIO: (Reason.SPECIAL_FILE, "is a pipe, socket or device: name a file or a folder"),
    errno.ENODEV: (Reason.SPECIAL_FILE, "is a device: name a file or a folder"),
    errno.EOPNOTSUPP: (Reason.SPECIAL_FILE, "is a socket: name a file or a folder"),
    errno.EACCES: (Reason.ACCESS_DENIED, "may not be used by the service: see its permissions"),
    errno.EPERM: (Reason.ACCESS_DENIED, "may not be used by the service: see its permissions"),
    errno.EROFS: (Reason.ACCESS_DENIED, "is on a read-only file system"),
    errno.EFBIG: (Reason.TOO_LARGE, "would be too large for the file system: write less"),
    errno.EDQUOT: (Reason.QUOTA_EXCEEDED, "exceeds the quota of the disk: delete files"),
    errno.ENOSPC: (Reason.NO_SPACE, "found the disk full: make room"),
    errno.EAGAIN: (Reason.CONTENDED, "was changed all the time by somebody else: try again"),
    errno.EBUSY: (Reason.CONTENDED, "is in use, or a mount point: try again"),
    errno.EMFILE: (Reason.CONTENDED, "found too many files open: try again"),
    errno.ENFILE: (Reason.CONTENDED, "found too many files open: try again"),
}

RETRY_AFTER_MS: Final = 1_000


def refusal(reason: Reason, message: str, **details: object) -> MissionError:
    """Make the exception for *reason*; *message* must not name anything of the host."""
    kind = _KINDS[reason]
    retry = RETRY_AFTER_MS if kind.retryable else None
    return kind(message, retry_after_ms=retry, reason=reason.value, **details)


def refusal_of(failure: OSError, path: str) -> MissionError:
    """Make the exception for what the system answered about the clean relative *path*."""
    unknown = (Reason.IO_FAILURE, "could not be used: see the service's log")
    reason, text = _BY_ERRNO.get(failure.errno or 0, unknown)
    return refusal(reason, f"{path} {text}", path=path)
