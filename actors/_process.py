"""The process runner: a pulse is one run of a local command, in a process group of its own.

The command finds its status text on standard input and in `agents/<soul>/status.md`, and who it
is in its environment.  It takes part through the API, the command line, or just by its exit code.

It starts behind a gate: a shell that waits for a line before it becomes the command.  The line
is written after the group's number is in the database, so there is no moment at which a process
runs that the next life of the sidecar would not find.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress

import attrs
import trio

from ..storage import replace_file
from ._processes import PULSE_VARIABLE, end_group, end_strays, start_time
from ._runner import (
    HostAgent,
    Life,
    Outcome,
    OutcomeKind,
    PulseOrder,
    RunHandle,
    SessionOrder,
)

GATE = 'read -r _ || exit 125; exec "$@"'
MAX_OUTPUT_CHARS = 4_000
READ_BYTES = 65_536
DRAIN_S = 0.5

PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR", "TERM")
"""What of our own environment a command gets to see: no secret of ours stands under these names."""


@attrs.frozen
class ProcessRunner:
    """Runs commands.  Needs no Gateway and no model."""

    url: Callable[[], str]
    """Where the API listens, as `http://host:port`; asked at each start."""
    environ: Mapping[str, str] = attrs.field(factory=lambda: dict(os.environ))
    pass_on: tuple[str, ...] = ()
    """More names to pass on."""
    grace_s: float = 2.0
    """Between SIGTERM and SIGKILL."""

    @property
    def name(self) -> str:
        """As recorded with each pulse."""
        return "process"

    @property
    def away(self) -> None:
        """Local commands can always be run."""

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
        await trio.to_thread.run_sync(_write_status, order)
        try:
            process = await trio.lowlevel.open_process(
                ["/bin/sh", "-c", GATE, "sh", *order.command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=order.cwd,
                env=self._environment(order),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # ValueError: a zero byte among the words
            return Outcome(OutcomeKind.FAILED, f"cannot start {order.command[0]}: {error}")
        return await self._follow(process, order, life)

    # Nothing of it lives on that could give a sign.
    async def recover(self, order: PulseOrder, handle: RunHandle, life: Life) -> Outcome:  # noqa: ARG002
        """End what an earlier life of ours left running: its pipes are gone, so nobody hears it."""
        if handle.process_group is None:
            return Outcome(OutcomeKind.NOT_STARTED, "the sidecar ended before the command began")
        # Shielded: whoever gives up waiting for this must not find it running afterwards.
        with trio.CancelScope(shield=True):
            started = await trio.to_thread.run_sync(start_time, handle.process_group)
            if started is not None and started == handle.process_started:
                await end_group(handle.process_group, self.grace_s)
            await end_strays(order.pulse_id)
        return Outcome(OutcomeKind.LOST, "the sidecar ended while the command ran")

    async def _follow(self, process: trio.Process, order: PulseOrder, life: Life) -> Outcome:
        tail = _Tail()
        try:
            await life.started(RunHandle(process.pid, start_time(process.pid)))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_read, process, tail, life)
                nursery.start_soon(_write, process, f"\n{order.status_text}")
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
        return _outcome(process.returncode, tail.text())

    def _environment(self, order: PulseOrder) -> dict[str, str]:
        names = (*PASSED_ON, *self.pass_on)
        passed = {name: self.environ[name] for name in names if name in self.environ}
        ours = {
            PULSE_VARIABLE: order.pulse_id,
            "MISSION_CONTROL_URL": self.url(),
            "MISSION_CONTROL_TOKEN": order.token,
            "MISSION_CONTROL_AGENT_ID": order.agent_id,
            "MISSION_CONTROL_PROJECT_ID": order.project_id,
            "MISSION_CONTROL_TASK_ID": order.task_id or "",
            "MISSION_CONTROL_ATTEMPT": str(order.attempt),
            "MISSION_CONTROL_STATUS_FILE": str(order.scope / "agents" / order.soul / "status.md"),
            "MISSION_CONTROL_PULSE_KIND": order.kind,
            "MISSION_CONTROL_PROMPT": order.prompt,
        }
        return passed | ours


class _Tail:
    """The last of what was written."""

    def __init__(self) -> None:
        self._bytes = b""

    def add(self, chunk: bytes) -> None:
        self._bytes = (self._bytes + chunk)[-4 * MAX_OUTPUT_CHARS :]

    def text(self) -> str:
        return self._bytes.decode("utf-8", "replace")[-MAX_OUTPUT_CHARS:].strip()


async def _read(process: trio.Process, tail: _Tail, life: Life) -> None:
    assert process.stdout is not None  # noqa: S101 - asked for with PIPE
    with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
        while chunk := await process.stdout.receive_some(READ_BYTES):
            tail.add(bytes(chunk))
            life.sign("output")


async def _write(process: trio.Process, text: str) -> None:
    assert process.stdin is not None  # noqa: S101 - asked for with PIPE
    # A command need not read its standard input.
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await process.stdin.send_all(text.encode())
        await process.stdin.aclose()


def _write_status(order: PulseOrder) -> None:
    folder = order.scope / "agents" / order.soul
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / "status.md", order.status_text, mode=0o644)


def _outcome(code: int | None, output: str) -> Outcome:
    if code == 0:
        return Outcome(OutcomeKind.SUCCEEDED, output=output)
    last = output.splitlines()[-1] if output else "no output"
    how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return Outcome(OutcomeKind.FAILED, f"{how}: {last[:200]}", output)
