"""The listener: serves the doors, on TCP for browser and plugin and on a Unix socket for others."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from ..actors import Mission
from ..storage import Conflict
from ..supervisor import Actor, Context
from ._bridge_door import BridgeDoor
from ._doorkeeper import Doorkeeper
from ._doors import Doors, OriginGate
from ._limits import Limits
from ._origin import OriginRules, loopback_rule
from ._plugin_bridge import PluginLinks
from ._server import serve


class PortInUse(Conflict):
    """Something listens there already."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens, where clients wait until they are served; port 0: a free one.

    Raises:
        PortInUse: with what to do about it.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise PortInUse(
            f"cannot listen on {host}:{port} ({error.strerror}): stop what listens there, or"
            " choose another with --port (0 takes a free one)"
        ) from error
    bound.settimeout(0)
    return bound


class Listener(Actor[object]):
    """Serves until it is stopped.  The sockets outlive it: a restart loses no waiting client.

    Args:
        mission: what is served.
        doorkeeper: who is let in.
        links: where plugins that connect are counted.
        sockets: the first one TCP on the loopback, then the Unix socket where there is one.
        limits: how much is let happen.
    """

    ctx: Context[object]

    def __init__(
        self,
        mission: Mission,
        doorkeeper: Doorkeeper,
        links: PluginLinks,
        sockets: Sequence[socket.socket],
        limits: Limits,
    ) -> None:
        rules = OriginRules(loopback_rule(sockets[0].getsockname()[1]))
        self._app = OriginGate(Doors(mission, doorkeeper, limits).app(), rules)
        self._bridge = BridgeDoor(mission, doorkeeper, links, rules)
        self._sockets = sockets
        self._limits = limits

    async def started(self) -> None:
        """Begin to serve."""
        self.ctx.start_soon(serve, self._app, self._bridge.open, self._sockets, self._limits)

    def receive(self, message: object) -> None:
        """There is nothing to tell a listener."""
