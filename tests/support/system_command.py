"""The real `mission-control` command, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

COMMAND = str(Path(sys.executable).parent / "mission-control")


def environment(**more: str) -> dict[str, str]:
    """Return our environment without what would steer the command, and with *more*."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MISSION_CONTROL_")}
    return kept | {"NO_COLOR": "1", "COLUMNS": "200"} | more


def run(home: Path, *arguments: str, **more: str) -> Ended:
    """Run the command to its end, with *more* in its environment."""
    return run_as((), home, *arguments, **more)


def run_as(prefix: tuple[str, ...], home: Path, *arguments: str, **more: str) -> Ended:
    """Run the command by way of another, such as setpriv."""
    done = subprocess.run(
        [*prefix, COMMAND, "--home", str(home), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment(**more),
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@attrs.frozen
class Ended:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """What it printed; it went well."""
        assert (self.code, self.err) == (0, "")
        return self.out.strip()

    @property
    def json(self) -> Any:
        return json.loads(self.words)

    @property
    def refusal(self) -> str:
        """The one line that it ended with; it did not go well."""
        assert self.code != 0
        assert self.out == ""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("mission-control: ")
        assert "Traceback" not in self.err
        return self.err.removeprefix("mission-control: ").strip()


@attrs.frozen
class Sidecar:
    """A sidecar that runs."""

    home: Path
    url: str
    process: subprocess.Popen[str]

    def run(self, *arguments: str, **more: str) -> Ended:
        return run(self.home, *arguments, **more)

    def do(self, *arguments: str) -> str:
        """Run a command that goes well, and return what it printed."""
        return self.run(*arguments).words

    def call(self, method: str, **params: object) -> Any:
        return self.run("call", method, json.dumps(params)).json

    def stop(self) -> Ended:
        """Ask it to stop, and wait until it has."""
        self.process.terminate()
        out, err = self.process.communicate(timeout=60)
        return Ended(self.process.returncode, out, err)


@contextmanager
def sidecar(home: Path, *options: str, **more: str) -> Iterator[Sidecar]:
    """Run a sidecar on *home*, on a free port; at the end it is gone, whatever happened."""
    with subprocess.Popen(
        [COMMAND, "--home", str(home), "run", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**more),
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first, process.stderr and process.stderr.read()
            yield Sidecar(home, first.split()[4].rstrip(","), process)
        finally:
            process.kill()
