"""Mission Control for programs that do not run on trio: in a thread, called from all others."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import trio
from outcome import Error, capture

from .actors import Runner
from .app import MissionControl, open_mission_control
from .config import Config
from .storage import Clock, Limited, Unavailable
from .supervisor import (
    Actor,
    ActorCrashed,
    ActorDead,
    ActorError,
    ChildSpec,
    Context,
    Deferred,
    MailboxFull,
    Portal,
    Ref,
    System,
    open_portal,
)


@attrs.frozen
class _Call:
    method: str
    params: Mapping[str, object]


class _HostDoor(Actor[_Call]):
    """Lets in the calls of the host's threads, many at once."""

    ctx: Context[_Call]

    def __init__(self, mc: MissionControl) -> None:
        self._mc = mc

    def receive(self, message: _Call) -> None:
        self.ctx.start_soon(self._answer, message, self.ctx.defer())

    async def _answer(self, message: _Call, reply: Deferred) -> None:
        try:
            result = await self._mc.call(message.method, **message.params)
        except Exception as error:  # noqa: BLE001 - the caller judges it, as in a trio host
            reply.fail(error)
        else:
            reply.answer(result)


@attrs.frozen
class _Running:
    """What the other threads need of a sidecar that runs."""

    system: System
    portal: Portal
    door: Ref[_Call]
    url: str


class _Thread:
    """The thread, from its start to its end."""

    def __init__(self, opening: AbstractAsyncContextManager[MissionControl]) -> None:
        self.running: Future[_Running] = Future()
        self.failure: BaseException | None = None
        """What ended it, if it was not told to end."""
        self._opening = opening
        self._token: trio.lowlevel.TrioToken | None = None
        self._told_to_stop = False
        self._leave = trio.Event()
        self._starting = trio.CancelScope()
        self._thread = threading.Thread(target=self._run, name="mission-control")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Have it end, and wait until it has."""
        # In this order: either the thread sees the flag, or this sees the token.
        self._told_to_stop = True
        if self._token is not None:
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._on_stop)
        # Not alive yet, if Ctrl-C came while it was being started: then it sees the flag.
        if self._thread.is_alive():
            self._thread.join()

    def raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        result = capture(trio.run, self._serve)
        if isinstance(result, Error):
            self.failure = result.error  # raised in the host
        if not self.running.done():
            self.running.set_exception(self.failure or Unavailable("closed before it had started"))

    async def _serve(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        if self._told_to_stop:
            return
        with self._starting:
            async with self._opening as mc:
                system = mc.mission.system
                door = await system.root.start_child(ChildSpec("host", _HostDoor, args=(mc,)))
                assert door is not None  # noqa: S101 - it does not ignore its start
                with open_portal(system) as portal:
                    self.running.set_result(_Running(system, portal, door, mc.url))
                    await self._leave.wait()

    def _on_stop(self) -> None:
        self._leave.set()
        if not self.running.done():
            self._starting.cancel()


class ThreadedMissionControl:
    """A sidecar that runs in a thread of its own; made by :func:`open_in_thread`."""

    def __init__(self, thread: _Thread, running: _Running) -> None:
        self._thread = thread
        self._running = running

    @property
    def url(self) -> str:
        """`http://host:port`; JSON-RPC is at `/rpc`."""
        return self._running.url

    def call(self, method: str, /, **params: object) -> Any:
        """Call a `mission.*` method, and block until it has answered.

        For any thread; one that runs an asyncio loop would block it, and has :meth:`acall`.

        Raises:
            Unavailable: the sidecar has ended, or did before it answered: then what was called
                for may have happened.
            NotFound: there is no such method, or no such thing.
            MissionError: the call was refused or failed.
        """
        running = self._running
        try:
            return running.portal.ask(running.door, _Call(method, params), timeout=None)
        except (ActorDead, ActorCrashed, MailboxFull) as error:
            raise self._meaning(error) from error

    async def acall(self, method: str, /, **params: object) -> Any:
        """Do as :meth:`call` from a task of asyncio.

        To cancel the task abandons the answer; what was called for may happen.

        Raises:
            MissionError: as for :meth:`call`.
        """
        running = self._running
        try:
            return await running.portal.aask(running.door, _Call(method, params), timeout=None)
        except (ActorDead, ActorCrashed, MailboxFull) as error:
            raise self._meaning(error) from error

    def close(self) -> None:
        """Stop the sidecar, and block until everything of it has ended.

        For any thread, and as often as one likes.  Calls under way raise Unavailable.
        """
        self._thread.stop()

    def _meaning(self, error: ActorError) -> Exception:
        if isinstance(error, MailboxFull):
            return Limited("too many calls wait already", retry_after_ms=200)
        failure = self._thread.failure or self._running.system.failure
        if failure is not None:
            return Unavailable(f"the sidecar has failed: {failure}")
        return Unavailable("the sidecar is closed")


@contextmanager
def open_in_thread(
    home: Path | str | None = None,
    config: Config | None = None,
    *,
    clock: Clock | None = None,
    runner: Runner | None = None,
) -> Iterator[ThreadedMissionControl]:
    """Run the sidecar in a thread of its own while the block runs.

    Entering blocks until it has started, leaving until everything of it has ended: up to some
    seconds.  An asyncio program that cannot wait that long enters and leaves in
    `asyncio.to_thread`.

    Args:
        home: as for `mission_control.open`, as are the others.
        config: the settings.
        clock: the time of day.
        runner: executes pulses; in the sidecar's thread.

    Raises:
        HomeInUse, PortInUse, Invalid, MissionError: as `mission_control.open` does.
        SupervisorGaveUp: the tree failed too often while the block ran.  The block is not
            interrupted: its calls raise Unavailable, and this is raised when it is left.
    """
    thread = _Thread(open_mission_control(home, config, clock=clock, runner=runner))
    try:
        try:
            thread.start()
            yield ThreadedMissionControl(thread, thread.running.result())
        finally:
            thread.stop()
    except Unavailable:
        # A block that met the failure has nothing better to tell.
        thread.raise_failure()
        raise
    thread.raise_failure()
