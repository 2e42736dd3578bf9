"""A persona's SOUL.md, and every text that it had before."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import attrs

from ..storage import Invalid, NotFound, read_plain, replace_file
from ._mirror_files import make_folder

MAX_SOUL_BYTES = 64 * 1024
"""More than that of it is not shown to an agent."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@attrs.frozen
class SoulFile:
    """The file *path*, below the folder *below* that is not to be left.

    Each text is kept beside it, under its checksum, before it is put in place: whoever is killed in
    between, or edits the file by hand, loses none.
    """

    path: Path
    below: Path

    @property
    def versions(self) -> Path:
        """The folder of all texts that were ever installed."""
        return self.path.parent / "versions"

    def install(self, text: str) -> tuple[str | None, str]:
        """Put *text* in place; return the checksums of what was there, and of what is.

        Raises:
            Invalid: there is nothing in it, or more than an agent is shown.
        """
        if not text.strip() or len(text.encode()) > MAX_SOUL_BYTES:
            raise Invalid(f"soul_text must have 1 to {MAX_SOUL_BYTES} bytes", field="soul_text")
        make_folder(self.versions, below=self.below)
        present = read_plain(self.path, MAX_SOUL_BYTES)
        old = None if present is None else self._keep(present.decode("utf-8", "replace"))
        new = self._keep(text)
        if old != new:
            replace_file(self.path, text, mode=0o644)
        return old, new

    def text_of(self, sha256: str) -> str:
        """Return the text with this checksum.

        Raises:
            Invalid: it is no checksum.
            NotFound: no text with it was ever installed.
        """
        if not _SHA256.fullmatch(sha256):
            raise Invalid("sha256 must be 64 hexadecimal digits", field="sha256")
        kept = read_plain(self._place(sha256), MAX_SOUL_BYTES)
        if kept is None:
            raise NotFound(f"no version of this SOUL.md has the checksum {sha256}", field="sha256")
        return kept.decode("utf-8", "replace")

    def _keep(self, text: str) -> str:
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        if not self._place(sha256).is_file():
            replace_file(self._place(sha256), text, mode=0o644)
        return sha256

    def _place(self, sha256: str) -> Path:
        return self.versions / f"{sha256}.md"
