"""What of a request's head is refused before it is parsed: pure judgement of bytes.

h11 reads more than RFC 9112 lets a sender write: lines that end in a bare LF, headers folded over
two lines, a body with two lengths.  Two programs that read such a request differently can be made
to see different requests; so here it has one reading or none.
"""

from __future__ import annotations

from collections.abc import Iterable

_END = b"\r\n\r\n"
_VERSIONS = (b"1.0", b"1.1")

BAD_REQUEST = 400
HEAD_TOO_LARGE = 431
NOT_SUPPORTED = 505


def flaw_of_head(received: bytes, max_headers: int, max_bytes: int) -> int | None:
    """Return the HTTP status that *received*, a head so far, is refused with; None if with none."""
    head, end, _ = received.partition(_END)
    lines, returns = head.count(b"\r\n"), head.count(b"\r")
    if not end and head.endswith(b"\r"):
        returns -= 1  # its line feed is still to come
    if not lines == returns == head.count(b"\n") or b"\r\n " in head or b"\r\n\t" in head:
        return BAD_REQUEST
    if lines > max_headers or len(head) > max_bytes:
        return HEAD_TOO_LARGE
    return None


def flaw_of_request(
    version: bytes, target: bytes, headers: Iterable[tuple[bytes, bytes]]
) -> int | None:
    """Return the HTTP status that a whole head is refused with; None if with none."""
    if version not in _VERSIONS:
        return NOT_SUPPORTED
    fields = {name: value.lower() for name, value in headers}
    length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    two_lengths = length is not None and coding is not None
    # What follows would be read as frames, and by a proxy before us as a body.
    has_body = length not in (None, b"0") or coding is not None
    frames_or_body = has_body and b"websocket" in fields.get(b"upgrade", b"")
    absolute = not target.startswith(b"/")
    return BAD_REQUEST if two_lengths or frames_or_body or absolute else None
