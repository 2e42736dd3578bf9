"""Starts commands inside a Landlock domain, and follows them as trio follows its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO

import attrs
import trio

from ._confinement import Bounds
from ._landlock import new_domain


class CannotConfine(Exception):
    """The kernel refused, or a place of the attempt is not what it should be; says which."""


class ConfinedProcess:
    """A child in a domain of its own.  Its members mean what those of `trio.Process` do."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        self._pidfd = os.pidfd_open(popen.pid)
        self.pid = popen.pid
        self.stdin = trio.lowlevel.FdStream(_taken(popen.stdin))
        self.stdout = trio.lowlevel.FdStream(_taken(popen.stdout))

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative where a signal ended it."""
        return self._popen.returncode

    async def wait(self) -> int:
        """Wait for its end, and reap it."""
        if self._pidfd >= 0:
            await trio.lowlevel.wait_readable(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        return self._popen.wait()


@attrs.frozen
class Start:
    """What `subprocess.Popen` is told."""

    command: Sequence[str]
    cwd: Path
    env: Mapping[str, str]


async def open_confined(start: Start, bounds: Bounds, version: int) -> ConfinedProcess:
    """Start a command with pipes, in a session and a domain of its own.

    Args:
        start: what to run.
        bounds: where it may do what.
        version: of Landlock, 1 or more.

    Raises:
        CannotConfine: nothing was started.
        OSError: the command cannot be started.
        ValueError: there is a zero byte among its words.
    """
    popen = await trio.to_thread.run_sync(_start, start, bounds, version)
    try:
        return ConfinedProcess(popen)
    except OSError:  # no descriptors left
        popen.kill()
        popen.wait()
        raise


def _start(start: Start, bounds: Bounds, version: int) -> subprocess.Popen[bytes]:
    def begin() -> subprocess.Popen[bytes]:
        _enter(bounds, version)
        return subprocess.Popen(
            start.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=start.cwd,
            env=start.env,
            bufsize=0,
            start_new_session=True,
        )

    # A thread that is used once: what it takes on cannot be put down again.
    with ThreadPoolExecutor(max_workers=1) as once:
        return once.submit(begin).result()


def _enter(bounds: Bounds, version: int) -> None:
    needed = {bounds.scope, bounds.src, bounds.scratch}
    try:
        with new_domain(version) as domain:
            for grant in bounds.grants(_listing):
                there = domain.allow(grant.path, grant.rights, follow=grant.may_be_link)
                if not there and grant.path in needed:
                    raise CannotConfine(f"{grant.path} is missing, or a link")
            domain.take_on()
    except OSError as error:
        raise CannotConfine(f"Landlock: {error}") from error


def _listing(folder: Path) -> Iterable[Path]:
    with suppress(OSError):
        return tuple(folder.iterdir())
    return ()


def _taken(pipe: IO[bytes] | None) -> int:
    """Take a pipe's descriptor out of the object that would close it."""
    assert pipe is not None  # noqa: S101 - asked for with PIPE
    with pipe:
        return os.dup(pipe.fileno())
