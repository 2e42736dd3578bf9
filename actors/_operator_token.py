"""The operators' token: in a file, for those who may read it; here only its digest."""

from __future__ import annotations

import hashlib
import logging
import secrets
from pathlib import Path

import attrs
import trio

from ..storage import Unavailable, replace_file
from ._token_file import UnfitToken, read_token

log = logging.getLogger("mission_control.access")


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

    A file that is gone or empty changes nothing, or a slip would lock everybody out.  One that is
    not to be relied on is not used: a new token takes its place, and the log says why.

    Raises:
        Unavailable: there is no token, and none can be put there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            token = read_token(path)
        except UnfitToken as why:
            self._tell(why)
            token = ""
        if not token:
            self.replace()
        self._seen = _signature(path)
        self._secret = Secret(digest(read_token(path)))

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
            try:
                self._take(read_token(self._path))
            except UnfitToken as why:
                self._reject(why)

    def replace(self) -> None:
        """Put a new token into the file.  Blocks while the disk writes.

        Raises:
            Unavailable: it cannot be written.
        """
        try:
            replace_file(self._path, new_token() + "\n")
        except OSError as error:
            raise Unavailable(
                f"cannot put a token into {self._path} ({error.strerror}): see what is there"
            ) from error

    def _reject(self, why: UnfitToken) -> None:
        self._tell(why)
        try:
            self.replace()
        except Unavailable as problem:
            log.warning("the former token goes on: %s", problem.message)
            return
        self._seen = _signature(self._path)
        self._take(read_token(self._path))

    def _tell(self, why: UnfitToken) -> None:
        log.warning("%s %s: it is not used, and a new token takes its place", self._path, why)

    def _take(self, token: str) -> None:
        if token and digest(token) != self._secret.digest:
            former, self._secret = self._secret, Secret(digest(token))
            former.over.set()


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns, found.st_size
