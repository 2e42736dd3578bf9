"""A process that has imported everything and begun nothing: from it, lives are forked in no time.

Run as `python -m tests.chaos.template DESCRIPTOR`, with a socket to whoever started it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import attrs

from .life import Order, live

ROOT = Path(__file__).parents[2]


@attrs.define
class Life:
    """A sidecar that runs, and what it says."""

    pid: int
    says: int
    """The reading end of a pipe, which ends with it."""
    _channel: socket.socket
    killed: bool = False

    def kill(self) -> None:
        """End it as a power cut would, and return when it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        self._channel.send(json.dumps({"wait": self.pid}).encode())
        ended = json.loads(self._channel.recv(1 << 16))
        assert os.WIFSIGNALED(ended["status"]), "it had ended by itself"
        assert os.WTERMSIG(ended["status"]) == signal.SIGKILL
        self.killed = True


@attrs.define
class Template:
    """Starts lives."""

    log: Path
    """What they had to complain of."""
    _channel: socket.socket

    @contextmanager
    def life(self, order: Order) -> Iterator[Life]:
        """Begin a life; whoever asked for it kills it."""
        reads, writes = os.pipe()
        with ExitStack() as stack:
            stack.callback(os.close, reads)
            socket.send_fds(
                self._channel, [json.dumps({"live": attrs.asdict(order)}).encode()], [writes]
            )
            os.close(writes)
            begun = json.loads(self._channel.recv(1 << 16))
            yield Life(begun["pid"], reads, self._channel)


@contextmanager
def open_template(log: Path) -> Iterator[Template]:
    """Start the template; its lives write what they have to complain of to *log*."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")])
    with (
        ours,
        log.open("ab") as errors,
        theirs,
        subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.template", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stderr=errors,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
        ) as process,
    ):
        theirs.close()
        try:
            assert json.loads(ours.recv(1 << 16)) == "ready"
            yield Template(log, ours)
        finally:
            ours.close()  # it kills what is left of its lives, and ends
            process.wait()


def _serve(channel: socket.socket) -> None:
    alive: set[int] = set()
    channel.send(json.dumps("ready").encode())
    while True:
        raw, descriptors, _, _ = socket.recv_fds(channel, 1 << 20, 1)
        if not raw:
            break
        match json.loads(raw):
            case {"live": fields}:
                (out,) = descriptors
                pid = os.fork()
                if pid == 0:
                    channel.close()
                    _be_born(fields, out)
                os.close(out)
                alive.add(pid)
                channel.send(json.dumps({"pid": pid}).encode())
            case {"wait": pid}:
                _, status = os.waitpid(pid, 0)
                alive.discard(pid)
                channel.send(json.dumps({"status": status}).encode())
            case other:
                raise AssertionError(other)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)


def _be_born(fields: dict[str, Any], out: int) -> None:
    try:
        live(Order(**fields), out)
    except Exception:  # noqa: BLE001 - nobody is above it
        traceback.print_exc()
    finally:
        os._exit(1)  # never back into the code of its parent


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
