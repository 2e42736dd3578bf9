"""What trio-websocket's reading task raises where the other side is no WebSocket server."""

from __future__ import annotations

import h11
from trio_websocket import ConnectionRejected
from wsproto.utilities import ProtocolError

FOREIGN: tuple[type[Exception], ...] = (ConnectionRejected, h11.ProtocolError, ProtocolError)
"""An HTTP answer other than the one that was asked for; then, nonsense: to that trio-websocket
wants to reply by the rules, which its libraries refuse."""


def spoken_instead(error: BaseException) -> str:
    """Return what the other side said, which made us raise *error*."""
    if isinstance(error, ConnectionRejected):
        return f"HTTP {error.status_code}"
    return "what is no HTTP"
