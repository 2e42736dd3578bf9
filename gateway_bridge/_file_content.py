"""Bytes of files in JSON, and back."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from enum import Enum

from ..storage import Invalid
from ..storage.files import Content


class Encoding(Enum):
    """How content stands in JSON."""

    TEXT = "text"
    """As it is; the file is UTF-8."""
    BASE64 = "base64"


def encode(content: Content, encoding: Encoding) -> tuple[str, int]:
    """Return the content as it stands in JSON, and how many bytes of it there are.

    A character of which the range has only the beginning is left to the next one.

    Raises:
        Invalid: it is no text, or the range is shorter than one character.
    """
    data = content.data
    if encoding is Encoding.BASE64:
        return base64.b64encode(data).decode(), len(data)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text = decoder.decode(data, final=content.offset + len(data) >= content.size)
    except UnicodeDecodeError:
        return content.text, len(data)  # which raises, and says where
    left = len(decoder.getstate()[0])
    if data and not text:
        raise Invalid("length is shorter than the character at offset", field="length")
    return text, len(data) - left


def digest(expected: str | None) -> str | None:
    """Return a parameter `expected_sha256` as digests are compared.

    Raises:
        Invalid: it is none, nor "absent".
    """
    if expected is None or expected == "absent":
        return expected
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", expected):
        raise Invalid(
            "expected_sha256 must be the 64 digits that a read answered, or 'absent'",
            field="expected_sha256",
        )
    return expected.lower()


def decode(content: str, encoding: Encoding, field: str) -> bytes:
    """Return the bytes that a parameter, *field*, stands for.

    Raises:
        Invalid: it is not base64.
    """
    if encoding is Encoding.TEXT:
        return content.encode()
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid(f"{field} is not base64", field=field) from None
