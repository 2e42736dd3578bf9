"""Identifiers that sort by the time they were made (UUIDv7, RFC 9562 §5.7)."""

from __future__ import annotations

import re
import unicodedata

MAX_SLUG_CHARS = 48

_NOT_SLUG = re.compile(r"[^a-z0-9]+")


def uuid7(at_us: int, noise: int) -> str:
    """Return the UUIDv7 of the instant *at_us* whose 74 random bits are the lowest of *noise*.

    The same arguments give the same id, so a command that is run again names the same things;
    ids with noise that is counted up sort in that order (RFC 9562 §6.2, method 2).
    """
    ms = at_us // 1_000
    value = (ms & (1 << 48) - 1) << 80 | 0x7 << 76 | (noise >> 62 & 0xFFF) << 64
    value |= 0b10 << 62 | noise & (1 << 62) - 1
    digits = f"{value:032x}"  # uuid.UUID takes three times as long
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def slug(name: str) -> str:
    """Return the id made from a *name*: `Vidsnap 2!` gives `vidsnap-2`; may be empty."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return _NOT_SLUG.sub("-", plain.lower()).strip("-")[:MAX_SLUG_CHARS].rstrip("-")
