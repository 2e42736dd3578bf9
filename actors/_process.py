"""The process runner: a pulse is one run of a local command, in a process group of its own.

The command finds its status text on standard input and in `agents/<soul>/status.md`, and who it
is in its environment.  It takes part through the API, the command line, or just by its exit code.

It starts behind a gate: a shell that waits for a line before it becomes the command.  The line
is written after the group's number is in the database, so there is no moment at which a process
runs that the next life of the sidecar would not find.
"""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import attrs
import trio

from ..storage import Invalid, replace_file
from ..storage.files import SECRETS
from ._confined import CannotConfine, ConfinedProcess, Start, open_confined
from ._confinement import SYSTEM, Bounds, Confinement, Hold, LandlockMode, hold
from ._environment import passed_on, told
from ._landlock import abi
from ._left_behind import GRACE_S, end_command
from ._open_files import OPEN_FILES
from ._output import Output
from ._processes import end_group, end_strays, start_time
from ._profiles import HOW_TO_ACT, Profile, profile_of
from ._reach import reach
from ._runner import (
    HostAgent,
    Life,
    Outcome,
    OutcomeKind,
    PulseOrder,
    RunHandle,
    SessionOrder,
)
from ._scratch import make_scratch, remove_scratch
from ._stand_ins import git_rules, stand_ins

GATE = 'read -r _ || exit 125; exec "$@"'
READ_BYTES = 65_536
DRAIN_S = 0.5
REFUSED = " (the command is held inside its project: see process.landlock)"

_Process: TypeAlias = trio.Process | ConfinedProcess


@attrs.frozen
class ProcessRunner:
    """Runs commands.  Needs no Gateway and no model."""

    url: Callable[[], str]
    """Where the API listens, as `http://host:port`; asked at each start."""
    environ: Mapping[str, str] = attrs.field(factory=lambda: dict(os.environ))
    pass_on: tuple[str, ...] = ()
    """More names to pass on."""
    grace_s: float = GRACE_S
    """Between SIGTERM and SIGKILL."""
    confinement: Confinement = attrs.field(factory=Confinement)
    private: tuple[Path, ...] = ()
    """Of these folders, as the home is, commands see nothing but their project."""

    @property
    def name(self) -> str:
        """As recorded with each pulse."""
        return "process"

    @property
    def away(self) -> None:
        """Local commands can always be run."""

    @property
    def hold(self) -> Hold:
        """What keeps commands in their place."""
        return hold(self.confinement.mode, abi())

    async def open_session(self, order: SessionOrder) -> str:
        """A process keeps nothing between pulses: its session is only a name."""
        return order.session_key

    async def session_status(self, order: SessionOrder) -> None:
        """Nobody but our own records knows of a session."""

    async def reset_session(self, order: SessionOrder) -> None:
        """Has nothing to forget."""

    async def end_session(self, order: SessionOrder) -> None:
        """Has nothing to end."""

    async def transcript(self, order: SessionOrder, *, cursor: str | None, limit: int) -> None:
        """What commands wrote stands in the records of their pulses."""

    async def host_agents(self) -> tuple[HostAgent, ...]:
        """This machine has no agents of its own."""
        return ()

    async def host_soul(self, agent_id: str) -> None:
        """This machine has no agents of its own."""

    async def run(self, order: PulseOrder, life: Life) -> Outcome:
        """Run the order's command; its exit code 0 is success."""
        if not order.command:
            detail = "the agent has no command: create it with one, or configure a default"
            return Outcome(OutcomeKind.FAILED, detail)
        try:
            profile = profile_of(order.command)
        except Invalid as unknown:
            return Outcome(OutcomeKind.FAILED, unknown.message)
        await trio.to_thread.run_sync(_write_status, order)
        try:
            return await self._run(order, profile, life)
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(remove_scratch, order.pulse_id)

    async def _run(self, order: PulseOrder, profile: Profile | None, life: Life) -> Outcome:
        try:
            process = await self._start(order, profile)
        except CannotConfine as why:
            return Outcome(OutcomeKind.FAILED, f"cannot confine the command: {why}")
        except (OSError, ValueError) as error:  # ValueError: a zero byte among the words
            return Outcome(OutcomeKind.FAILED, f"cannot start {order.command[0]}: {error}")
        output = Output(profile.hear if profile else lambda said, _: said)
        text = (
            f"{order.status_text}\n{order.prompt}\n{HOW_TO_ACT}" if profile else order.status_text
        )
        try:
            await self._follow(process, order, life, output, text)
        except BaseException:  # cancellation above all, maybe in a group; raised again
            life.cut_short(output.progress)
            raise
        return output.outcome(process.returncode, REFUSED if self.hold.confined else "")

    async def _start(self, order: PulseOrder, profile: Profile | None) -> _Process:
        """Start the order's command behind the gate."""
        command = (*profile.command, *order.command[1:]) if profile else order.command
        more = (*self.pass_on, *(profile.pass_on if profile else ()))
        env = passed_on(self.environ, more) | told(order, self.url())
        gate = f"{OPEN_FILES.lower()}{GATE}"
        start = Start(["/bin/sh", "-c", gate, "sh", *command], order.cwd, env)
        holds = self.hold
        if not holds.confined:
            if self.confinement.mode is LandlockMode.REQUIRED:
                raise CannotConfine(f"process.landlock is required, and {holds.text}")
            return await _open(start)
        bounds, made = await trio.to_thread.run_sync(self._prepare, order, profile, command)
        start = attrs.evolve(start, env=made | env | {"TMPDIR": str(bounds.scratch)})
        return await open_confined(start, bounds, holds.version)

    def _prepare(
        self, order: PulseOrder, profile: Profile | None, command: tuple[str, ...]
    ) -> tuple[Bounds, dict[str, str]]:
        """Find out where a command may do what, and which variables lead to its stand-ins."""
        scratch = make_scratch(order.pulse_id)
        bounds = self._bounds(order, profile, command, scratch)
        granted = (*self._places(self.confinement.read), *bounds.write)
        return bounds, stand_ins(self.environ, scratch, granted)

    def _bounds(
        self, order: PulseOrder, profile: Profile | None, command: tuple[str, ...], scratch: Path
    ) -> Bounds:
        wanted = self.confinement
        return Bounds(
            scope=order.scope,
            src=order.cwd,
            notes=_there(order.scope / "agents" / order.soul / "working.md"),
            scratch=scratch,
            read=(
                *_resolved((*reach(command, self.environ), *git_rules(self.environ))),
                *self._places(wanted.read),
            ),
            write=self._places((*wanted.write, *(profile.write if profile else ()))),
            links=wanted.allows_links(order.project_id),
            system=_system(),
            private=_resolved(self.private),
            secrets=_secrets(order.scope),
        )

    def _places(self, named: tuple[str, ...]) -> tuple[Path, ...]:
        home = self.environ.get("HOME", "/")
        return _resolved(Path(home, name[2:] if name[:2] == "~/" else name) for name in named)

    async def recover(
        self,
        order: PulseOrder,
        handle: RunHandle,
        life: Life,  # noqa: ARG002 - nothing lives on that could give a sign
    ) -> Outcome:
        """End what an earlier life of ours left running: its pipes are gone, so nobody hears it."""
        if handle.process_group is None:
            return Outcome(OutcomeKind.NOT_STARTED, "the sidecar ended before the command began")
        await end_command(order.pulse_id, handle, self.grace_s)
        return Outcome(OutcomeKind.LOST, "the sidecar ended while the command ran")

    async def _follow(
        self, process: _Process, order: PulseOrder, life: Life, output: Output, text: str
    ) -> None:
        """Open the gate, hand over *text*, and hear the command to its end."""
        try:
            await life.started(RunHandle(process.pid, start_time(process.pid)))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_read, process, output, life)
                nursery.start_soon(_write, process, f"\n{text}")
                await process.wait()
                await end_group(process.pid, self.grace_s)
                # What is left in the pipe is read; who fled the group may hold it open for ever.
                nursery.cancel_scope.deadline = trio.current_time() + DRAIN_S
        finally:
            with trio.CancelScope(shield=True):
                await end_group(process.pid, self.grace_s)
                await process.wait()
                await end_strays(order.pulse_id)
                for pipe in (process.stdin, process.stdout):
                    if pipe is not None:
                        await pipe.aclose()


async def _open(start: Start) -> trio.Process:
    return await trio.lowlevel.open_process(
        start.command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=start.cwd,
        env=start.env,
        start_new_session=True,
    )


async def _read(process: _Process, output: Output, life: Life) -> None:
    assert process.stdout is not None  # noqa: S101 - asked for with PIPE
    with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
        while chunk := await process.stdout.receive_some(READ_BYTES):
            output.add(bytes(chunk))
            life.sign("output")


async def _write(process: _Process, text: str) -> None:
    assert process.stdin is not None  # noqa: S101 - asked for with PIPE
    # A command need not read its standard input.
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await process.stdin.send_all(text.encode())
        await process.stdin.aclose()


def _write_status(order: PulseOrder) -> None:
    folder = order.scope / "agents" / order.soul
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / "status.md", order.status_text, mode=0o644, lasting=False)


@functools.cache
def _system() -> tuple[Path, ...]:
    return tuple(dict.fromkeys(_resolved(SYSTEM)))  # /bin and /usr/bin may be one


def _resolved(paths: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(path.resolve() for path in paths)


def _secrets(scope: Path) -> tuple[Path, ...]:
    return tuple(path for path in scope.iterdir() if path.name.casefold() == SECRETS)


def _there(notes: Path) -> Path:
    """Make sure that there is a file of notes: a rule holds for a file, not for a name."""
    with suppress(OSError):
        os.close(os.open(notes, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    return notes
