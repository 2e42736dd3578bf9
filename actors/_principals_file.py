"""The file of principals: JSON, mode 0600, replaced as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from ..storage import Unavailable, replace_file
from ._access import Access

MEMBER = "principals"


@attrs.frozen
class Principal:
    """Whoever was given a token; the token itself is nowhere."""

    name: str
    access: Access
    digest: bytes = attrs.field(repr=False)
    created_at: int
    """When its present token was made, in µs."""
    created_by: str


def read_principals(path: Path) -> tuple[Principal, ...]:
    """Return those that *path* names; none where there is no file.

    Raises:
        Unavailable: it cannot be read or is damaged; to go on without would be to forget whom
            somebody trusts.
    """
    try:
        return tuple(map(_principal, json.loads(path.read_bytes())[MEMBER]))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unavailable(
            f"cannot read {path} ({error}): mend it, or remove it and give everybody a new token"
            " with 'mission-control token create'"
        ) from error


def _principal(entry: dict[str, Any]) -> Principal:
    return Principal(
        str(entry["name"]),
        Access[str(entry["scope"]).upper()],
        bytes.fromhex(entry["sha256"]),
        int(entry["created_at"]),
        str(entry["created_by"]),
    )


def write_principals(path: Path, principals: Iterable[Principal]) -> None:
    """Make *path* name these.  Blocks while the disk writes."""
    entries = [
        {
            "name": each.name,
            "scope": each.access.scope,
            "sha256": each.digest.hex(),
            "created_at": each.created_at,
            "created_by": each.created_by,
        }
        for each in principals
    ]
    text = json.dumps({MEMBER: entries}, indent=2)
    replace_file(path, text + "\n")
