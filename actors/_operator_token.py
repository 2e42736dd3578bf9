"""The operators' token: in a file, for those who may read it; here only its digest."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

import attrs
import trio

from ..storage import replace_file

MAX_TOKEN_BYTES = 512


def new_token() -> str:
    """Return 32 random bytes, as text that fits in a header."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """Return what is kept of *token*."""
    # A guess need not be text that has a UTF-8.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


@attrs.frozen(eq=False)
class Secret:
    """The digest of one token, until it is replaced or revoked."""

    digest: bytes = attrs.field(repr=False)
    over: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when it ends: whoever came in by it is shown out."""


class OperatorToken:
    """Follows its file: a token that somebody puts there counts from the next caller on.

    A file that is gone or empty changes nothing, or a slip would lock everybody out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not _read(path):
            replace_file(path, new_token() + "\n")
        self._seen = _signature(path)
        self._secret = Secret(digest(_read(path)))

    @property
    def secret(self) -> Secret:
        """What the file holds now."""
        self.follow()
        return self._secret

    def follow(self) -> None:
        """See whether the file was replaced; then the former token is over."""
        seen = _signature(self._path)
        if seen is not None and seen != self._seen:
            self._seen = seen
            self._take(_read(self._path))

    def replace(self) -> None:
        """Put a new token into the file.  Blocks while the disk writes."""
        replace_file(self._path, new_token() + "\n")

    def _take(self, token: str) -> None:
        if token and digest(token) != self._secret.digest:
            former, self._secret = self._secret, Secret(digest(token))
            former.over.set()


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_TOKEN_BYTES).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return ""


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns, found.st_size
