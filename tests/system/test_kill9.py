"""`kill -9` of the sidecar while a crew works: the next one on the same home goes on and ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from mission_control.demo._plot import CARDS
from mission_control.storage import Reads, TaskStatus
from system_processes import workers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

COMMAND = (sys.executable, "-m", "mission_control", "--home")
PATIENCE_S = 120.0


@contextmanager
def command(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command on *home*; at the end it is gone, whatever happened."""
    with subprocess.Popen(
        [*COMMAND, str(home), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def answer(home: Path, help_id: str) -> None:
    """Answer a question; whoever looks again will see whether the sidecar was up already."""
    params = json.dumps({"help_id": help_id, "answer": "the second"})
    words = [*COMMAND, str(home), "call", "mission.help.answer", params]
    subprocess.run(words, capture_output=True, check=False)


def steady_workers(home: Path) -> dict[int, str]:
    """Return the processes that work all at once: one look takes time, and sees who came later."""
    return dict(workers(home).items() & workers(home).items())


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Look again and again: the sidecar is another process, and is killed at any line."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, process.stdout and process.stdout.read()
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)  # nobody there would tell us


def begun(home: Path) -> Callable[[], bool]:
    """Whether the crew has got somewhere, and is at work now."""
    reads = Reads(home / "mission-control.db")

    def condition() -> bool:
        if not (home / "mission-control.endpoint").exists():
            return False
        tasks = reads.board("vidsnap")
        some_done = any(task.status is TaskStatus.DONE for task in tasks)
        return len(tasks) == len(CARDS) and some_done and bool(workers(home))

    return condition


def at_work_besides(home: Path, left: dict[int, str]) -> Callable[[], bool]:
    """Whether processes work that are not those of the killed sidecar."""
    return lambda: bool(set(workers(home)) - set(left))


@pytest.mark.parametrize("times", [1, 3], ids=["once", "three times"])
def test_a_killed_sidecar_is_continued_and_no_task_is_worked_on_twice_at_once(
    tmp_path: Path, times: int
) -> None:
    home = tmp_path / "home"
    with command(home, "demo", "--home", str(home)) as demo:
        wait_for(begun(home), demo)
        os.kill(demo.pid, signal.SIGKILL)
    left = workers(home)
    for _ in range(times - 1):
        with command(home, "run") as run:
            wait_for(at_work_besides(home, left), run)
            os.kill(run.pid, signal.SIGKILL)
        left = workers(home)

    reads = Reads(home / "mission-control.db")
    with command(home, "run") as run:
        kanban = home / "projects" / "vidsnap" / "KANBAN.md"

        def ended() -> bool:
            at_once: dict[str, set[str]] = {}
            for pulse_id in set(steady_workers(home).values()):
                at_once.setdefault(reads.pulse(pulse_id).agent_id, set()).add(pulse_id)
            for agent_id, pulses in at_once.items():
                # Those of the killed sidecar are ended before any other is begun.
                assert len(pulses) == 1, f"two attempts of {agent_id} at once: {pulses}"
            for asked in reads.help_requests(project_id=None, state="open"):
                answer(home, asked.id)
            return f"## Done ({len(CARDS)})" in kanban.read_text()

        wait_for(ended, run)
        assert not set(left) & set(workers(home)), "a process of the killed sidecar lives on"
        assert all(task.status is TaskStatus.DONE for task in reads.board("vidsnap"))
        run.send_signal(signal.SIGTERM)
        run.wait(timeout=60)

    assert workers(home) == {}
    for task in reads.board("vidsnap"):
        spans = [
            (pulse.started_at, pulse.ended_at, pulse.attempt)
            for pulse in reads.pulses_of_task(task.id)
            if pulse.kind.value == "work"
        ]
        assert all(end is not None for _, end, _ in spans)
        for (_, end, _), (start, _, _) in pairwise(spans):
            assert end is not None
            assert end <= start, "two attempts overlap in the records"
    assert all(reads.open_pulse(agent.id) is None for agent in reads.agents())
