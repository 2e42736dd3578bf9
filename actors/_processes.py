"""The operating system's processes: which are ours, and how to end all of a group.

A process is known by its number *and* the time it was started, so a number that was given to
somebody else meanwhile is never touched.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import trio

PULSE_VARIABLE = "MISSION_CONTROL_PULSE_ID"
"""In the environment of every process of an attempt, its children's too."""

POLL_S = 0.02
STRAY_ROUNDS = 100
QUIET_ROUNDS = 5

_PROC = Path("/proc")


def start_time(pid: int) -> str | None:
    """Return when process *pid* was started, in words that no other process of this machine has.

    None where there is no such process.
    """
    if (_PROC / "self" / "stat").exists():
        fields = _stat(pid)
        if fields is None:
            return None
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{fields[19]}"
    answer = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or None


def group_exists(group: int) -> bool:
    """Whether a process of *group* lives that is more than an entry waiting to be reaped."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    if not (_PROC / "self" / "stat").exists():
        return True
    for pid in _pids():
        fields = _stat(pid)
        if fields is not None and int(fields[2]) == group and fields[0] not in "ZX":
            return True
    return False


def strays(pulse_id: str) -> Iterator[int]:
    """Find the processes of an attempt by their environment, whatever group they moved to.

    Finds nothing where there is no /proc.
    """
    marker = f"{PULSE_VARIABLE}={pulse_id}\0".encode()
    looked_at = {os.getpid()}
    for _ in range(STRAY_ROUNDS):
        # Whoever changed its number while we looked has one that was not there before.
        came = _pids() - looked_at
        if not came:
            break
        looked_at |= came
        for pid in sorted(came, reverse=True):  # the newest first: they are the ones that go
            with suppress(OSError):
                if marker in _environ(pid):
                    yield pid


async def end_group(group: int, grace_s: float) -> None:
    """Ask all of *group* to end, and after *grace_s* end what is left.  Returns when none is."""
    if not _signal(group, signal.SIGTERM):
        return
    with trio.move_on_after(grace_s):
        while group_exists(group):  # noqa: ASYNC110 - as below
            await trio.sleep(POLL_S)
    # The kernel has no event for the end of a group.
    while group_exists(group):
        _signal(group, signal.SIGKILL)
        await trio.sleep(POLL_S)


async def end_strays(pulse_id: str) -> int:
    """End what is left of an attempt, whatever it begets meanwhile; return how many that were.

    What changes its number more than some fifty times a second may slip through: the kernel would
    have to help (a cgroup, or a subreaper).
    """
    return await trio.to_thread.run_sync(_end_strays, pulse_id)


def _end_strays(pulse_id: str) -> int:
    ended: set[int] = set()
    quiet = 0
    for _ in range(STRAY_ROUNDS):
        quiet += 1
        for pid in strays(pulse_id):  # each as soon as it is found: it may be about to fork
            _end_with_its_group(pid)
            ended.add(pid)
            quiet = 0
        # One look can miss a process that forks meanwhile, so where there was one, look again.
        if quiet and (not ended or quiet >= QUIET_ROUNDS):
            break
    return len(ended)


def _end_with_its_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        group = os.getpgid(pid)
        if group != os.getpgrp():
            os.killpg(group, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)


def _signal(group: int, number: signal.Signals) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _pids() -> set[int]:
    """Return the numbers of all processes; none where there is no /proc."""
    with suppress(FileNotFoundError), os.scandir(_PROC) as entries:
        return {int(entry.name) for entry in entries if entry.name.isdecimal()}
    return set()


def _environ(pid: int) -> bytes:
    # Whenever an attempt ends all processes are looked at: a Path for each is half of that time.
    with open(f"{_PROC}/{pid}/environ", "rb", buffering=0) as environ:  # noqa: PTH123
        return environ.read()


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state (field 3) on; None where it is gone."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The name, in brackets, may itself hold brackets and spaces.
    return text.rpartition(")")[2].split()
