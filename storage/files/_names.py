"""A path as text, made into checked names once; nothing behind this module sees the text.

Nothing is decoded, expanded or normalised away: what would need it is refused.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, TypeAlias

from .._errors import MissionError
from ._characters import INVISIBLE, NOT_PORTABLE, SEPARATOR_LOOKALIKES, fold, has_control
from ._reasons import Reason, refusal

Names: TypeAlias = tuple[str, ...]
"""The way from a project's folder; empty for that folder itself."""

MAX_PATH_BYTES: Final = 1024
MAX_NAME_BYTES: Final = 255
MAX_DEPTH: Final = 32
RESERVED_PREFIX: Final = ".svc-"
"""Names of the service's own passing files, wherever they lie."""

_DEVICE: Final = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|clock\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])",
    re.IGNORECASE,
)
_SHORT_NAME: Final = re.compile(r"[^.]{1,6}~[0-9](\.[^.]{0,3})?")
_NTFS_OWN: Final = frozenset({"$mft", "$extend", "$bitmap", "$volume"})
_ESCAPE: Final = re.compile(r"%([0-9a-fA-F]{2})")
_MAX_ESCAPE_ROUNDS: Final = 6
_ABSOLUTE: Final = re.compile(r"[/\\]|[A-Za-z]:|[A-Za-z][A-Za-z0-9+.\-]*://")
_PROJECT: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")

# Nearly every path there is: ASCII, with nothing to interpret.  Spelt out, because to ignore case
# would take half as long again, and this is a part of every read.
_NO_DEVICE: Final = (
    r"(?![CcPpAaNnLl](?:[Oo][Nn]|[Rr][Nn]|[Uu][Xx]|[Uu][Ll]|[Oo][Mm][0-9]|[Pp][Tt][0-9])"
    r"(?:[./]|\Z))"
)
_PLAIN_NAME: Final = _NO_DEVICE + r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,62}(?<!\.)"
_PLAIN: Final = re.compile(rf"{_PLAIN_NAME}(?:/{_PLAIN_NAME}){{0,14}}")


def split(path: object) -> Names:
    """Check *path* and return its names; `.` and `dir/` are understood.

    Raises:
        Invalid: it is no portable path; `details["reason"]` says why.
        Forbidden: it leads elsewhere, or to a name of the service's.
    """
    if isinstance(path, str) and _PLAIN.fullmatch(path):
        return tuple(path.split("/"))
    text = _checked_text(path)
    names = tuple(name for name in text.split("/") if name not in {"", "."})
    if len(names) > MAX_DEPTH:
        raise _invalid(f"The path has more than {MAX_DEPTH} names: use fewer.", limit=MAX_DEPTH)
    for name in names:
        _check_name(name)
    return names


def check_project(project: object) -> str:
    """Return *project* if it is the id of a project, which is also its folder's name.

    Raises:
        Invalid: it is not.
    """
    if (
        not isinstance(project, str)
        or not _PROJECT.fullmatch(project)
        or _DEVICE.fullmatch(project)
    ):
        raise refusal(
            Reason.PATH_INVALID,
            "A project's id has lower-case letters, digits and hyphens: give one of the list.",
            field="project_id",
        )
    return project


def file_key(names: Names) -> str:
    """Return what all spellings of one file share: the key of its lock."""
    return "/".join(map(fold, names))


def shown(names: Names) -> str:
    """Return checked names as a caller would write them."""
    return "/".join(names) or "."


def is_addressable(name: str) -> bool:
    """Whether a name found in a folder could be part of a path."""
    try:
        return split(name) == (name,)
    except MissionError:
        return False


def _checked_text(path: object) -> str:
    if not isinstance(path, str) or not path:
        raise _invalid("A path is text, and not empty: give one, such as src/main.py.")
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        raise _invalid("The path holds half a character: send valid UTF-8.") from None
    if length > MAX_PATH_BYTES:
        raise _invalid(f"The path is longer than {MAX_PATH_BYTES} bytes.", limit=MAX_PATH_BYTES)
    if has_control(path):
        raise _invalid("The path holds NUL or another control character: leave it out.")
    _check_direction(path)
    _check_escapes(path)
    _check_unicode(path)
    return path


def _check_direction(path: str) -> None:
    if _ABSOLUTE.match(path):
        raise _traversal("A path is relative to the project: start with a name, such as src.")
    names = re.split(r"[\\/]", path)
    if ".." in names:
        raise _traversal("'..' is refused everywhere in a path: name the way down.")
    if names[0].startswith("~"):
        raise _traversal("'~' is no way out of a project: start with another name.")


def _check_escapes(path: str) -> None:
    """Refuse what some decoder, also one that runs twice, would make into another path."""
    for _ in range(_MAX_ESCAPE_ROUNDS):
        found = [chr(int(match[1], 16)) for match in _ESCAPE.finditer(path)]
        if any(each in "./\\:~" or not " " <= each <= "~" for each in found):
            break
        decoded = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), path)
        if decoded == path:
            return
        path = decoded
    raise refusal(
        Reason.PATH_ENCODED,
        "The path holds per cent escapes that could hide another path: write characters plainly.",
        field="path",
    )


def _check_unicode(path: str) -> None:
    if path.isascii():
        return
    if not INVISIBLE.isdisjoint(path):
        raise _unicode("The path holds a character that cannot be seen: leave it out.")
    if not SEPARATOR_LOOKALIKES.isdisjoint(path):
        raise _unicode("The path holds a look-alike of a slash: use '/'.")
    for name in path.split("/"):
        compatible = unicodedata.normalize("NFKC", name)
        if compatible != name and (
            compatible in {".", ".."} or "/" in compatible or "\\" in compatible
        ):
            raise _unicode("The path holds a look-alike of '.' or '/': use the plain characters.")
    if not unicodedata.is_normalized("NFC", path):
        raise _unicode("The path is not in Unicode's NFC: compose its accents.")


def _check_name(name: str) -> None:
    if len(name.encode()) > MAX_NAME_BYTES:
        raise _invalid(f"A name is longer than {MAX_NAME_BYTES} bytes.", limit=MAX_NAME_BYTES)
    if not NOT_PORTABLE.isdisjoint(name):
        raise _reserved('A name holds one of <>:"|?*\\, which not every system allows.')
    if name[-1] in " ." or name[0] == " ":
        raise _reserved("A name begins or ends with a space, or ends with a dot.")
    if _DEVICE.fullmatch(name.split(".", 1)[0].rstrip(" ")):
        raise _reserved("A name is that of a device on Windows: choose another.")
    if _SHORT_NAME.fullmatch(name) or fold(name) in _NTFS_OWN:
        raise _reserved("A name could be another file's on NTFS: choose another.")
    if fold(name).startswith(RESERVED_PREFIX):
        raise refusal(
            Reason.PATH_PROTECTED,
            f"Names that begin with {RESERVED_PREFIX} are the service's: choose another.",
            field="path",
        )


def _invalid(message: str, **details: object) -> Exception:
    return refusal(Reason.PATH_INVALID, message, field="path", **details)


def _traversal(message: str) -> Exception:
    return refusal(Reason.PATH_TRAVERSAL, message, field="path")


def _unicode(message: str) -> Exception:
    return refusal(Reason.PATH_UNICODE, message, field="path")


def _reserved(message: str) -> Exception:
    return refusal(Reason.NAME_RESERVED, message, field="path")
