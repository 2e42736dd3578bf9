"""What a thing in a folder is, and which of them may be used."""

from __future__ import annotations

import enum
import os
import stat

from ._names import Names, shown
from ._reasons import Reason, refusal


class Kind(enum.StrEnum):
    """Of an entry; only files and folders can be used, the others only deleted."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    SPECIAL = "special"
    """A pipe, a socket or a device."""


def kind_of(found: os.stat_result) -> Kind:
    """Return what *found* (not of a followed link) says."""
    match stat.S_IFMT(found.st_mode):
        case stat.S_IFREG:
            return Kind.FILE
        case stat.S_IFDIR:
            return Kind.FOLDER
        case stat.S_IFLNK:
            return Kind.LINK
        case _:
            return Kind.SPECIAL


def is_usable(found: os.stat_result) -> bool:
    """Whether it is a folder, or a file with one name only."""
    kind = kind_of(found)
    return kind is Kind.FOLDER or (kind is Kind.FILE and found.st_nlink == 1)


def check_usable(found: os.stat_result, names: Names) -> None:
    """Refuse links of both sorts, pipes, sockets and devices.

    A file with a second name is refused wherever that name is: it may be outside.
    """
    path = shown(names)
    match kind_of(found):
        case Kind.LINK:
            raise refusal(
                Reason.SYMLINK_DENIED,
                f"{path} is a symbolic link: name the file itself, or delete the link",
                path=path,
            )
        case Kind.SPECIAL:
            raise refusal(
                Reason.SPECIAL_FILE,
                f"{path} is a pipe, socket or device: it can only be deleted",
                path=path,
            )
        case Kind.FILE if found.st_nlink > 1:
            raise refusal(
                Reason.HARDLINK_DENIED,
                f"{path} has a second name (hard link): delete one of them",
                path=path,
            )
        case _:
            pass


def check_file(found: os.stat_result, names: Names) -> None:
    """Refuse all that is no file with one name."""
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:  # nearly always
        return
    check_usable(found, names)
    path = shown(names)
    if kind_of(found) is Kind.FOLDER:
        raise refusal(Reason.NOT_A_FILE, f"{path} is a folder: name a file", path=path)
    raise refusal(Reason.NOT_FOUND, f"{path} was deleted just now", path=path)
