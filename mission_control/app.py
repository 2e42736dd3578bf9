"""Puts the parts together: a home, a system of actors on it, a runner, and the doors."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs

from .actors import (
    FEED,
    AgentTokens,
    Home,
    Mission,
    ProcessRunner,
    Runner,
    Subscribe,
    Subscription,
    grow,
    mission_specs,
)
from .config import Config, default_home, load_config
from .gateway import gateway_address
from .gateway_bridge import (
    LOCAL,
    METHODS,
    Doorkeeper,
    Gateway,
    GatewayLink,
    Listener,
    OpenClawRunner,
    PluginLinks,
    bind,
    call,
    read_or_make_token,
)
from .storage import (
    Clock,
    MissionError,
    NotFound,
    Reads,
    Store,
    WallClock,
    hold_home,
    replace_file,
)
from .storage.backups import finish_restore
from .supervisor import ChildSpec, Intensity, StartFailed, System, TreeNode, open_system

log = logging.getLogger("mission_control.app")


@attrs.frozen
class MissionControl:
    """A running sidecar, from inside its process."""

    mission: Mission
    url: str
    """`http://host:port`; JSON-RPC is at `/rpc`."""
    token: str = attrs.field(repr=False)

    async def call(self, method: str, /, **params: object) -> Any:
        """Call a `mission.*` method as the embedding program, which may do everything.

        Raises:
            NotFound: there is no such method, or no such thing.
            MissionError: the call was refused or failed.
        """
        if method not in METHODS:
            raise NotFound(f"there is no method {method!r}", field="method")
        return await call(self.mission, LOCAL, method, params)

    async def subscribe(self, after: int | None = None) -> Subscription:
        """Return an iterator over committed changes; use it in `async with`.

        Raises:
            Conflict: the log does not have what follows change number *after*, or no longer; read
                what there is, and go on from the cursor of that.
        """
        subscription: Subscription = await self.mission.ask(FEED, Subscribe(after))
        return subscription

    def tree(self) -> TreeNode:
        """Return every actor with its state."""
        return self.mission.system.tree()


@asynccontextmanager
async def open_mission_control(
    home: Path | str | None = None,
    config: Config | None = None,
    *,
    clock: Clock | None = None,
    runner: Runner | None = None,
) -> AsyncIterator[MissionControl]:
    """Run the sidecar while the block runs.

    Args:
        home: where everything is kept; `$MISSION_CONTROL_HOME` or `~/.openclaw` by default.
        config: the settings; read from the home and the environment by default.
        clock: the time of day.
        runner: executes pulses, in place of the one that the settings name.

    Raises:
        HomeUnusable: nothing can be written there.
        HomeInUse: another sidecar runs on this home.
        PortInUse: something listens on the port.
        Invalid: a setting is wrong.
        MissionError: a part could not be started.
        SupervisorGaveUp: the tree failed too often while the block ran.
    """
    place = Home(_absolute(home) if home is not None else default_home())
    place.make()
    settings = config if config is not None else load_config(place.path)
    with (
        hold_home(place.lock),
        bind(settings.listen.host, settings.listen.port) as door,
        contextlib.closing(Reads(place.database)) as reads,
    ):
        _end_restore(place)
        async with open_system("mission-control", intensity=Intensity(10, period=60.0)) as system:
            plane = _Plane(place, settings, system, reads, clock or WallClock(), door, runner)
            try:
                await grow(plane.mission, plane.specs())
            except StartFailed as failure:
                raise _reason(failure) from failure
            with _announced(place, plane.url):
                yield MissionControl(plane.mission, plane.url, plane.token)


def _end_restore(home: Home) -> None:
    """End a restore that was interrupted, before anything is opened."""
    restored = finish_restore(home.path)
    if restored is not None:
        log.warning("the restore of backup %s had been interrupted and was ended", restored)


def _absolute(home: Path | str) -> Path:
    return Path(home).expanduser().absolute()


class _Plane:
    """The wiring of one sidecar."""

    def __init__(  # noqa: PLR0913, PLR0917 - it is the place where they meet
        self,
        home: Home,
        config: Config,
        system: System,
        reads: Reads,
        clock: Clock,
        door: socket.socket,
        runner: Runner | None,
    ) -> None:
        host, port = door.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self.token = read_or_make_token(home.token)
        self._door = door
        self._links = PluginLinks()
        self._upkeep = config.maintenance_settings()
        wanted = config.gateway.url and runner is None
        self._gateway = Gateway(gateway_address(config, home)) if wanted else None
        self.mission = Mission(
            system=system,
            home=home,
            store=Store(system, clock, random.SystemRandom()),
            reads=reads,
            clock=clock,
            runner=runner or self._runner(config),
            tokens=AgentTokens(),
            settings=config.pulse_settings(),
        )

    def _runner(self, config: Config) -> Runner:
        if self._gateway is None:
            process = config.process
            return ProcessRunner(
                url=lambda: self.url, pass_on=process.pass_on, grace_s=process.grace_s
            )
        return OpenClawRunner(
            self._gateway,
            prompt_injected=lambda: self._links.injects_prompt,
        )

    def specs(self) -> list[ChildSpec]:
        """Return the root's children."""
        hosts = []
        if self._gateway is not None:
            hosts.append(ChildSpec("gateway", GatewayLink, args=(self._gateway,)))
        doorkeeper = Doorkeeper.of(self.token, self.mission.tokens)
        listener = ChildSpec(
            "listener", Listener, args=(self.mission, doorkeeper, self._links, self._door)
        )
        return mission_specs(self.mission, hosts=hosts, doors=[listener], upkeep=self._upkeep)


def _reason(failure: StartFailed) -> Exception:
    """Return the refusal at the bottom of a failed start, or the failure itself."""
    cause: BaseException | None = failure
    while cause is not None and not isinstance(cause, MissionError):
        cause = cause.__cause__
    return cause or failure


@contextlib.contextmanager
def _announced(home: Home, url: str) -> Iterator[None]:
    """Tell the command line where we listen, while we do."""
    replace_file(home.endpoint, json.dumps({"url": url, "pid": os.getpid()}) + "\n")
    try:
        yield
    finally:
        home.endpoint.unlink(missing_ok=True)
