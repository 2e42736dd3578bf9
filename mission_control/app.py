"""Puts the parts together: a home, a system of actors on it, a runner, and the doors."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from .actors import (
    FEED,
    AgentTokens,
    Home,
    LandlockMode,
    Mission,
    OperatorToken,
    Principals,
    ProcessRunner,
    Runner,
    Subscribe,
    Subscription,
    grow,
    mission_specs,
)
from .config import Config, ListenSettings, ProcessSettings, load_config
from .default_home import default_home
from .gateway import gateway_address, gateway_token
from .gateway_bridge import (
    LOCAL,
    METHODS,
    Courier,
    Doorkeeper,
    Gateway,
    GatewayLink,
    Listener,
    OpenClawRunner,
    Person,
    PluginLinks,
    bind,
    call,
    open_local,
    watch_sandbox,
)
from .storage import (
    Clock,
    Invalid,
    MissionError,
    NotFound,
    Reads,
    Store,
    Unavailable,
    WallClock,
    hold_home,
    replace_file,
)
from .storage.backups import finish_restore
from .storage.files import Files, Projects
from .supervisor import ChildSpec, Intensity, Shutdown, StartFailed, System, TreeNode, open_system

log = logging.getLogger("mission_control.app")


@attrs.frozen
class MissionControl:
    """A running sidecar, from inside its process."""

    mission: Mission
    url: str
    """`http://host:port`; JSON-RPC is at `/rpc`."""

    @property
    def token(self) -> str:
        """The operators', as it is now."""
        return self.mission.home.token.read_text("ascii").strip()

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
        _doors(place, settings.listen) as doors,
        contextlib.closing(Reads(place.database)) as reads,
    ):
        _end_restore(place)
        with Projects(place.projects) as projects:
            async with open_system(
                "mission-control", intensity=Intensity(10, period=60.0)
            ) as system:
                plane = _Plane(
                    place,
                    settings,
                    system,
                    reads,
                    Files(projects),
                    clock or WallClock(),
                    doors,
                    runner,
                )
                try:
                    await grow(plane.mission, plane.specs())
                except StartFailed as failure:
                    raise _reason(failure) from failure
                with _announced(place, plane.url, has_socket=len(doors) > 1):
                    yield MissionControl(plane.mission, plane.url)


def _end_restore(home: Home) -> None:
    """End a restore that was interrupted, before anything is opened."""
    restored = finish_restore(home.path)
    if restored is not None:
        log.warning("the restore of backup %s had been interrupted and was ended", restored)


@contextlib.contextmanager
def _doors(home: Home, listen: ListenSettings) -> Iterator[list[socket.socket]]:
    """Listen on TCP, and on the Unix socket where there can be one."""
    with contextlib.ExitStack() as stack:
        doors = [stack.enter_context(bind(listen.host, listen.port))]
        if listen.socket:
            try:
                doors.append(stack.enter_context(open_local(home.socket)))
            except Unavailable as problem:
                log.warning("callers have TCP only: %s", problem.message)
        yield doors


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
        files: Files,
        clock: Clock,
        doors: list[socket.socket],
        runner: Runner | None,
    ) -> None:
        host, port = doors[0].getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._doors = doors
        self._limits = config.limits
        self._upkeep = config.maintenance_settings()
        self._gateway_agent = config.gateway.agent
        told = config.help
        self._person = Person(told.channel, told.to) if told.channel else None
        wanted = config.gateway.url and runner is None
        self._gateway = (
            Gateway(gateway_address(config, home), partial(gateway_token, config.gateway))
            if wanted
            else None
        )
        self._links = PluginLinks(self._gateway.expect) if self._gateway else PluginLinks()
        self.mission = Mission(
            system=system,
            home=home,
            store=Store(system, clock),
            reads=reads,
            files=files,
            clock=clock,
            runner=runner or self._runner(config, home),
            tokens=AgentTokens(),
            principals=Principals(home.principals, OperatorToken(home.token)),
            settings=config.pulse_settings(),
        )

    def _runner(self, config: Config, home: Home) -> Runner:
        if self._gateway is None:
            return _process_runner(config.process, home, lambda: self.url)
        return OpenClawRunner(
            self._gateway,
            prompt_injected=lambda: self._links.injects_prompt,
            hindrance=self._links.hindrance,
        )

    def specs(self) -> list[ChildSpec]:
        """Return the root's children."""
        hosts = []
        if self._gateway is not None:
            hosts.append(ChildSpec("gateway", GatewayLink, args=(self._gateway,)))
            watched = (self._gateway, self._gateway_agent, self.mission.home.path)
            # It holds nothing that would have to be put down.
            brutal = Shutdown.BRUTAL_KILL
            hosts.append(ChildSpec("sandbox", watch_sandbox, args=watched, shutdown=brutal))
            if self._person is not None:
                courier = (self.mission, self._gateway, self._person, self._links.any_connected)
                hosts.append(ChildSpec("courier", Courier, args=courier, shutdown=brutal))
        elif self._person is not None:
            log.warning("questions of agents are sent to nobody: [help] needs a Gateway")
        mission, limits = self.mission, self._limits
        doorkeeper = Doorkeeper(mission.principals, mission.tokens, limits)
        listener = ChildSpec(
            "listener", Listener, args=(mission, doorkeeper, self._links, self._doors, limits)
        )
        return mission_specs(self.mission, hosts=hosts, doors=[listener], upkeep=self._upkeep)


def _process_runner(process: ProcessSettings, home: Home, url: Callable[[], str]) -> ProcessRunner:
    """Return the runner, and say where nothing keeps its commands in their place.

    Raises:
        Invalid: something has to, by the settings, and there is nothing.
    """
    runner = ProcessRunner(
        url=url,
        pass_on=process.pass_on,
        grace_s=process.grace_s,
        confinement=process.confinement(),
        private=(home.path,),
    )
    if not runner.hold.confined:
        if runner.confinement.mode is LandlockMode.REQUIRED:
            message = f"process.landlock is required, and {runner.hold.text}"
            raise Invalid(message, field="process.landlock")
        log.warning("%s", runner.hold.text)
    for gap in runner.hold.gaps:
        log.warning("this kernel's Landlock is old: agents' commands may still %s", gap)
    return runner


def _reason(failure: StartFailed) -> Exception:
    """Return the refusal at the bottom of a failed start, or the failure itself."""
    cause: BaseException | None = failure
    while cause is not None and not isinstance(cause, MissionError):
        cause = cause.__cause__
    return cause or failure


@contextlib.contextmanager
def _announced(home: Home, url: str, *, has_socket: bool) -> Iterator[None]:
    """Tell the command line where we listen, while we do."""
    there = {"url": url, "socket": str(home.socket) if has_socket else None, "pid": os.getpid()}
    replace_file(home.endpoint, json.dumps(there) + "\n")
    try:
        yield
    finally:
        home.endpoint.unlink(missing_ok=True)
