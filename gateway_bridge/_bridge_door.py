"""The plugin's door: who may knock, by the same rules as at the other doors, and how it is used."""

from __future__ import annotations

from contextlib import suppress

import trio
from starlette.datastructures import Headers
from wsproto.events import RejectConnection
from wsproto.utilities import RemoteProtocolError

from ..actors import Lagged, Mission
from ..storage import Invalid, MissionError, Unavailable
from ._doorkeeper import Doorkeeper
from ._doors import response_to
from ._http import Upgrade
from ._origin import OriginRules
from ._plugin_bridge import SUBPROTOCOL, BridgeRefused, PluginBridge, PluginLinks
from ._visits import Visit
from ._web_line import LineEnded, WebLine


class BridgeDoor:
    """Takes WebSockets of plugins."""

    def __init__(
        self, mission: Mission, doorkeeper: Doorkeeper, links: PluginLinks, rules: OriginRules
    ) -> None:
        self._mission = mission
        self._doorkeeper = doorkeeper
        self._links = links
        self._rules = rules

    async def open(self, upgrade: Upgrade, visit: Visit, stream: trio.SocketStream) -> None:
        """Talk with one plugin to the end; or refuse the request."""
        line = WebLine(stream, lambda: visit.message_bytes)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.cut_when_stuck)
            with suppress(LineEnded):
                await self._answer(line, upgrade, visit)
            nursery.cancel_scope.cancel()

    async def _answer(self, line: WebLine, upgrade: Upgrade, visit: Visit) -> None:
        try:
            self._check(upgrade, visit)
            if SUBPROTOCOL not in line.offered(upgrade):
                raise Invalid(f"the bridge speaks {SUBPROTOCOL} only: ask for it")
        except RemoteProtocolError as error:
            hint = error.event_hint
            await line.reject(hint if isinstance(hint, RejectConnection) else RejectConnection())
        except MissionError as refusal:
            response = response_to(refusal)
            status, headers = response.status_code, response.raw_headers
            await line.reject(RejectConnection(status, headers), bytes(response.body))
        else:
            await line.accept(SUBPROTOCOL)
            await self._talk(line, visit)

    def _check(self, upgrade: Upgrade, visit: Visit) -> None:
        headers = Headers(raw=list(upgrade.headers))
        self._rules.of(visit.peer).check(headers, upgrade.target.partition(b"?")[2])
        if upgrade.early:
            raise Invalid("wait for the answer to the handshake")

    async def _talk(self, line: WebLine, visit: Visit) -> None:
        bridge = PluginBridge(self._mission, self._doorkeeper, self._links, visit)
        refused: BaseException | None = None
        try:
            await bridge.serve(line.receive, line.send)
        except* BridgeRefused as refusals:
            refused = refusals.exceptions[0]
        except* (LineEnded, trio.TooSlowError, Lagged, Unavailable):
            pass  # the plugin connects again by itself
        if refused is not None:
            await _send_away(line, *refused.args)


async def _send_away(line: WebLine, code: int, reply: str | None) -> None:
    if reply is not None:
        await line.send(reply)
    await line.close(code)
