"""Groups of real processes: all of one is ended, and nobody else is touched."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import attrs
import pytest

from mission_control.actors import ProcessRunner, Progress, PulseOrder, RunHandle
from mission_control.actors._processes import (
    PULSE_VARIABLE,
    end_group,
    end_strays,
    group_exists,
    start_time,
    strays,
)

pytestmark = pytest.mark.slow

PULSE = f"test-{os.getpid()}"

STUBBORN = 'trap "" TERM; echo ready; while :; do sleep 60; done'
OBEDIENT = "echo ready; exec sleep 600"
MIXED = '(trap "" TERM; echo ready; sleep 600) & exec sleep 600'
FLED = "setsid sh -c 'echo $$; exec sleep 600' & exec sleep 600"


@attrs.define
class Groups:
    """Starts shells, each in a group of its own; what is left of them is killed."""

    shells: list[subprocess.Popen[bytes]] = attrs.field(factory=list)

    def start(self, script: str, pulse_id: str = PULSE) -> tuple[subprocess.Popen[bytes], bytes]:
        """Return a shell, and the first line that it said."""
        shell = subprocess.Popen(
            ["/bin/sh", "-c", script],
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={"PATH": os.environ["PATH"], PULSE_VARIABLE: pulse_id},
        )
        self.shells.append(shell)
        assert shell.stdout is not None
        return shell, shell.stdout.readline().strip()

    def sweep(self) -> None:
        for shell in self.shells:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
            assert shell.stdout is not None
            shell.stdout.close()


@pytest.fixture
def groups() -> Iterator[Groups]:
    made = Groups()
    yield made
    made.sweep()


async def test_who_obeys_is_asked_and_not_killed(groups: Groups) -> None:
    shell, _ = groups.start(OBEDIENT)
    await end_group(shell.pid, grace_s=20.0)
    assert shell.wait() == -signal.SIGTERM
    assert not group_exists(shell.pid)


@pytest.mark.parametrize("script", [STUBBORN, MIXED])
async def test_nothing_of_a_group_survives_not_even_who_ignores_sigterm(
    groups: Groups, script: str
) -> None:
    shell, said = groups.start(script)
    assert said == b"ready"
    await end_group(shell.pid, grace_s=0.2)
    shell.wait()
    assert list(strays(PULSE)) == []


async def test_a_group_that_is_gone_is_ended_at_once(groups: Groups) -> None:
    shell, _ = groups.start("echo ready")
    shell.wait()
    await end_group(shell.pid, grace_s=600.0)
    assert not group_exists(shell.pid)


async def test_who_fled_the_group_is_found_by_its_environment(groups: Groups) -> None:
    shell, said = groups.start(FLED)
    fled = int(said)
    other, _ = groups.start(OBEDIENT, pulse_id=f"{PULSE}0")
    await end_group(shell.pid, grace_s=5.0)
    assert shell.wait() == -signal.SIGTERM
    assert list(strays(PULSE)) == [fled]
    assert await end_strays(PULSE) == 1
    assert start_time(other.pid) is not None
    assert await end_strays(f"{PULSE}0") >= 1


def test_a_process_is_known_by_when_it_was_started(groups: Groups) -> None:
    first, _ = groups.start(OBEDIENT)
    known = start_time(first.pid)
    assert known is not None
    assert start_time(first.pid) == known
    assert start_time(os.getpid()) != known
    first.kill()
    first.wait()
    assert start_time(first.pid) is None


ORDER = PulseOrder(
    pulse_id=f"{PULSE}-recovered",
    agent_id="shuri:p",
    project_id="p",
    soul="shuri",
    session_key="key",
    kind="work",
    task_id=None,
    task_title=None,
    attempt=1,
    scope=Path("/nowhere"),
    cwd=Path("/nowhere"),
    status_text="",
    prompt="",
    timeout_s=1.0,
    command=(),
    token="",
)


class NoLife:
    def sign(self, what: str) -> None: ...

    async def started(self, handle: RunHandle) -> None: ...

    def cut_short(self, progress: Progress) -> None: ...


async def test_a_number_that_was_given_to_somebody_else_is_left_alone(groups: Groups) -> None:
    runner = ProcessRunner(lambda: "", grace_s=0.2)
    shell, _ = groups.start(STUBBORN)
    recycled = RunHandle(shell.pid, "another boot:1")
    assert (await runner.recover(ORDER, recycled, NoLife())).kind.value == "lost"
    assert group_exists(shell.pid)
    ours = RunHandle(shell.pid, start_time(shell.pid))
    assert (await runner.recover(ORDER, ours, NoLife())).kind.value == "lost"
    assert shell.wait() == -signal.SIGKILL
