"""Which requests may come from a browser's page, judged before anybody is asked for a token.

A page of another site can send requests to this host, by a name of its own that was rebound to us
as well; only the browser says where they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs

from ..storage import Forbidden, Invalid
from ._peer import Peer

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
LOCAL_HOST = "localhost"
"""What clients of the Unix socket, where no name is needed, name all the same."""


class Headers(Protocol):
    """What is asked of a request's headers."""

    def getlist(self, key: str) -> list[str]:
        """Return all values of one header."""
        ...


@attrs.frozen
class OriginRule:
    """The names that a door is called by, exactly; and whether pages of its own may call it."""

    hosts: frozenset[str]
    has_pages: bool

    def check(self, headers: Headers, query: bytes | str) -> None:
        """Refuse what may not be asked here at all.

        Raises:
            Forbidden: another host is meant, or a page of another origin asks.
            Invalid: a query could hold a token, and would end up in logs and histories.
        """
        host = _only(headers.getlist("host"))
        if host not in self.hosts:
            raise Forbidden(f"the Host header must be {min(self.hosts)}")
        for origin in headers.getlist("origin"):
            if not self._is_own(origin):
                raise Forbidden("pages of other origins may not call this")
        # Not all requests of other sites have an Origin: images and scripts do not.
        for site in headers.getlist("sec-fetch-site"):
            if site not in ("same-origin", "none"):
                raise Forbidden("pages of other sites may not call this")
        if query:
            raise Invalid("nothing is read from a query: a token goes into the headers")

    def _is_own(self, origin: str) -> bool:
        return self.has_pages and origin in {f"http://{host}" for host in self.hosts}


def loopback_rule(port: int) -> OriginRule:
    """Return the rule of TCP on the loopback."""
    return OriginRule(frozenset(f"{name}:{port}" for name in LOOPBACK_NAMES), has_pages=True)


@attrs.frozen
class OriginRules:
    """The rule of each door."""

    tcp: OriginRule

    def of(self, peer: Peer) -> OriginRule:
        """Return the rule of the door that *peer* came by."""
        return LOCAL_RULE if peer.is_user else self.tcp


LOCAL_RULE = OriginRule(frozenset({LOCAL_HOST}), has_pages=False)
"""The rule of the Unix socket, which no browser reaches."""


def _only(values: Sequence[str]) -> str | None:
    return values[0] if len(values) == 1 else None
