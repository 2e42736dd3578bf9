"""Parameters of the methods on files; what they say to a model stands beside each."""

from __future__ import annotations

from typing import Any

import attrs

from ..storage.files import TIMEOUT_S
from ._file_content import Encoding


def _doc(text: str, default: Any = attrs.NOTHING) -> Any:
    return attrs.field(default=default, metadata={"doc": text})


_PATH = "Relative to the project, such as src/main.py."
_SHA256 = "SHA-256 that the file must have, or 'absent'; otherwise nothing is changed."
_ENCODING = {"doc": "base64 for what is no text."}
_WAIT = "How long to wait for the file where others use it, in seconds, at most 30."


@attrs.frozen
class ReadParams:
    """Parameters of `mission.file.read`."""

    project_id: str
    path: str = _doc(_PATH)
    offset: int = _doc("Where to begin, in bytes.", 0)
    length: int | None = _doc("How many bytes at most.", None)
    encoding: Encoding = attrs.field(default=Encoding.TEXT, metadata=_ENCODING)


@attrs.frozen
class FolderParams:
    """Parameters of `mission.file.list`."""

    project_id: str
    path: str = _doc(_PATH, ".")


@attrs.frozen
class PathParams:
    """Parameters of `mission.file.stat` and `exists`."""

    project_id: str
    path: str = _doc(_PATH)


@attrs.frozen
class SearchParams:
    """Parameters of `mission.file.search`."""

    project_id: str
    text: str = _doc("What to look for: plain text, in one line.")
    path: str = _doc(_PATH, ".")
    glob: str = _doc("Names of the files to look into, such as *.py.", "*")
    ignore_case: bool = False


@attrs.frozen
class WriteParams:
    """Parameters of `mission.file.write`."""

    project_id: str
    path: str = _doc(_PATH)
    content: str = _doc("What the file is to hold, or what is added at its end.")
    encoding: Encoding = attrs.field(default=Encoding.TEXT, metadata=_ENCODING)
    expected_sha256: str | None = _doc(_SHA256, None)
    overwrite: bool = _doc("Whether a file that exists may be replaced.", default=True)
    wait_s: float = _doc(_WAIT, TIMEOUT_S)


@attrs.frozen
class AppendParams:
    """Parameters of `mission.file.append`."""

    project_id: str
    path: str = _doc(_PATH)
    content: str = _doc("What the file is to hold, or what is added at its end.")
    encoding: Encoding = attrs.field(default=Encoding.TEXT, metadata=_ENCODING)
    wait_s: float = _doc(_WAIT, TIMEOUT_S)


@attrs.frozen
class EditParams:
    """Parameters of `mission.file.edit`."""

    project_id: str
    path: str = _doc(_PATH)
    old: str = _doc("The exact text to replace; it occurs once, unless everywhere is true.")
    new: str = _doc("What stands there instead.")
    everywhere: bool = False
    encoding: Encoding = attrs.field(default=Encoding.TEXT, metadata=_ENCODING)
    expected_sha256: str | None = _doc(_SHA256, None)
    wait_s: float = _doc(_WAIT, TIMEOUT_S)


@attrs.frozen
class MkdirParams:
    """Parameters of `mission.file.mkdir`."""

    project_id: str
    path: str = _doc(_PATH)
    parents: bool = _doc("Make the folders above it too.", default=False)
    wait_s: float = _doc(_WAIT, TIMEOUT_S)


@attrs.frozen
class MoveParams:
    """Parameters of `mission.file.move`."""

    project_id: str
    path: str = _doc(_PATH)
    target: str = _doc("Where to, with its new name.")
    overwrite: bool = _doc("Whether a file that exists may be replaced.", default=False)
    wait_s: float = _doc(_WAIT, TIMEOUT_S)


@attrs.frozen
class DeleteParams:
    """Parameters of `mission.file.delete`."""

    project_id: str
    path: str = _doc(_PATH)
    recursive: bool = _doc("Delete a folder with all that is in it.", default=False)
    wait_s: float = _doc(_WAIT, TIMEOUT_S)


@attrs.frozen
class LockParams:
    """Parameters of `mission.lock.list`."""

    project_id: str | None = None
