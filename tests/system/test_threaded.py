"""A sidecar in a thread, for hosts that do not run on trio."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import threading
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from mission_control import Config, MissionControl, MissionError
from mission_control.app import open_mission_control
from mission_control.config import ListenSettings
from mission_control.gateway_bridge import METHODS, Method, PortInUse
from mission_control.gateway_bridge._callers import Access
from mission_control.storage import HomeInUse, NotFound, Unavailable
from mission_control.supervisor import Actor, ChildSpec, Context, SupervisorGaveUp
from mission_control.threaded import ThreadedMissionControl, _Thread, open_in_thread

FREE = Config(listen=ListenSettings(port=0))


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Any:
    """Every test leaves as many threads of ours as it found: none."""
    yield
    assert not [t for t in threading.enumerate() if t.name == "mission-control"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def opened(home: Path) -> AbstractContextManager[ThreadedMissionControl]:
    return open_in_thread(home, FREE)


@attrs.frozen
class NoParams:
    """None."""


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Add a method, `test.wait`, that never answers; the event says that it has been called."""
    called = threading.Event()

    async def wait(_: object) -> None:
        called.set()
        await trio.sleep_forever()

    row = Method("test.wait", NoParams, Access.READ, agents=False, run=wait, summary="")
    monkeypatch.setitem(METHODS, "test.wait", row)
    return called


class Calling(threading.Thread):
    """A thread with one call; `outcome` is the answer or the error."""

    def __init__(self, mc: ThreadedMissionControl, method: str) -> None:
        super().__init__()
        self._mc, self._method = mc, method
        self.outcome: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.outcome = self._mc.call(self._method)
        except MissionError as error:
            self.outcome = error


def test_threads_call_methods(home: Path) -> None:
    with opened(home) as mc:
        project = mc.call("mission.project.init", project_name="Vidsnap")
        calling = Calling(mc, "mission.project.list")
        calling.join()
        assert [p["id"] for p in calling.outcome["projects"]] == [project["project_id"]]
        with urllib.request.urlopen(f"{mc.url}/healthz") as answer:  # noqa: S310 - it is ours
            assert answer.read() == b"ok\n"


def test_refusals_are_raised_as_in_a_trio_host(home: Path) -> None:
    with opened(home) as mc:
        with pytest.raises(NotFound, match=r"mission\.nonsense"):
            mc.call("mission.nonsense")
        with pytest.raises(NotFound):
            mc.call("mission.task.get", task_id="none")


def test_asyncio_tasks_call_methods_at_once(home: Path) -> None:
    async def host(mc: ThreadedMissionControl) -> None:
        names = [f"P{number}" for number in range(20)]
        made = await asyncio.gather(
            *(mc.acall("mission.project.init", project_name=name) for name in names)
        )
        listed = await mc.acall("mission.project.list")
        assert {p["id"] for p in listed["projects"]} == {p["project_id"] for p in made}
        with pytest.raises(NotFound):
            await mc.acall("mission.nonsense")

    with opened(home) as mc:
        asyncio.run(host(mc))


def test_a_cancelled_asyncio_task_gives_up_its_call(home: Path, waits: threading.Event) -> None:
    async def host(mc: ThreadedMissionControl) -> None:
        task = asyncio.create_task(mc.acall("test.wait"))
        await asyncio.to_thread(waits.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await mc.acall("mission.project.list")

    with opened(home) as mc:
        asyncio.run(host(mc))


def test_leaving_the_block_ends_the_call_under_way_and_those_after(
    home: Path, waits: threading.Event
) -> None:
    with opened(home) as mc:
        calling = Calling(mc, "test.wait")
        waits.wait()
    calling.join()
    assert isinstance(calling.outcome, Unavailable)
    with pytest.raises(Unavailable, match="is closed"):
        mc.call("mission.project.list")
    with pytest.raises(Unavailable, match="is closed"):
        asyncio.run(mc.acall("mission.project.list"))
    with opened(home) as again:  # the home is free
        assert again.call("mission.project.list")


def test_any_thread_may_close_it_and_again(home: Path, waits: threading.Event) -> None:
    with opened(home) as mc:
        calling = Calling(mc, "test.wait")
        waits.wait()
        closers = [threading.Thread(target=mc.close) for _ in range(3)]
        for closer in closers:
            closer.start()
        for thread in (*closers, calling):
            thread.join()
        assert isinstance(calling.outcome, Unavailable)
        mc.close()


def test_an_error_of_the_block_stops_the_sidecar_and_goes_on(home: Path) -> None:
    with pytest.raises(LookupError, match="mine"), opened(home):
        raise LookupError("mine")


def test_a_home_or_a_port_in_use_is_told_to_whoever_opens(home: Path, tmp_path: Path) -> None:
    with opened(home) as mc:
        with pytest.raises(HomeInUse), opened(home):
            pass
        port = int(mc.url.rpartition(":")[2])
        config = Config(listen=ListenSettings(port=port))
        with pytest.raises(PortInUse), open_in_thread(tmp_path / "other", config):
            pass
        assert mc.call("mission.project.list")


def test_ctrl_c_in_the_hosts_main_thread_stops_the_sidecar(home: Path) -> None:
    with pytest.raises(KeyboardInterrupt), opened(home):
        signal.raise_signal(signal.SIGINT)
    with opened(home) as mc:
        assert mc.call("mission.project.list")


def test_ctrl_c_ends_a_call_that_blocks_the_main_thread(home: Path, waits: threading.Event) -> None:
    def interrupt() -> None:
        waits.wait()
        os.kill(os.getpid(), signal.SIGINT)
        # Python itself sleeps through a signal that comes just as the lock is being taken.
        while not interrupted.wait(2.0):
            os.kill(os.getpid(), signal.SIGINT)

    interrupted = threading.Event()
    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt), opened(home) as mc:  # noqa: PT012
        try:
            mc.call("test.wait")
        finally:
            interrupted.set()
    interrupting.join()


def test_a_start_that_hangs_is_cancelled() -> None:
    hanging = threading.Event()

    @asynccontextmanager
    async def hang() -> AsyncIterator[MissionControl]:
        hanging.set()
        await trio.sleep_forever()
        yield

    thread = _Thread(hang())
    thread.start()
    hanging.wait()
    thread.stop()
    with pytest.raises(Unavailable, match="before it had started"):
        thread.running.result()


def test_a_thread_that_was_told_to_stop_before_it_ran_does_not_start(home: Path) -> None:
    thread = _Thread(open_mission_control(home, FREE))
    thread._told_to_stop = True
    thread.start()
    thread.stop()
    with pytest.raises(Unavailable, match="before it had started"):
        thread.running.result()
    assert not home.exists()


class CrashesLater(Actor[str]):
    """Crashes whenever it has started."""

    ctx: Context[str]

    async def started(self) -> None:
        self.ctx.self.tell("now")

    def receive(self, message: str) -> None:
        raise RuntimeError("a bug")


def break_tree(mc: ThreadedMissionControl) -> None:
    """Make the root give up, and return when everything has ended."""
    system = mc._running.system
    token = mc._thread._token
    trio.from_thread.run(
        system.root.start_child, ChildSpec("broken", CrashesLater), trio_token=token
    )
    mc._thread._thread.join()


def test_a_tree_that_gives_up_is_the_reason_of_later_calls_and_raised_at_the_end(
    home: Path,
) -> None:
    with pytest.raises(SupervisorGaveUp) as caught, opened(home) as mc:  # noqa: PT012
        break_tree(mc)
        with pytest.raises(Unavailable, match="gave up"):
            mc.call("mission.project.list")
        with pytest.raises(Unavailable, match="gave up"):
            asyncio.run(mc.acall("mission.project.list"))
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_block_that_meets_the_failure_raises_the_failure(home: Path) -> None:
    with pytest.raises(SupervisorGaveUp), opened(home) as mc:  # noqa: PT012
        break_tree(mc)
        mc.call("mission.project.list")


def test_a_block_that_failed_by_itself_raises_its_own_error(home: Path) -> None:
    with pytest.raises(LookupError), opened(home) as mc:  # noqa: PT012
        break_tree(mc)
        raise LookupError("mine")


def test_a_call_under_way_when_the_tree_gives_up_ends(home: Path, waits: threading.Event) -> None:
    with pytest.raises(SupervisorGaveUp), opened(home) as mc:  # noqa: PT012
        calling = Calling(mc, "test.wait")
        waits.wait()
        break_tree(mc)
        calling.join()
        assert isinstance(calling.outcome, Unavailable)


@pytest.mark.parametrize("seed", range(2))
def test_in_a_storm_of_calls_that_the_close_meets_every_call_ends(home: Path, seed: int) -> None:
    ends_after = random.Random(seed).randrange(50, 300)  # noqa: S311
    answers, reached = itertools.count(1), threading.Event()
    refusals: list[Unavailable] = []

    def storm(mc: ThreadedMissionControl) -> None:
        try:
            while mc.call("mission.project.list"):
                if next(answers) == ends_after:
                    reached.set()
        except Unavailable as refusal:
            refusals.append(refusal)

    with opened(home) as mc:
        threads = [threading.Thread(target=storm, args=(mc,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        reached.wait()
    for thread in threads:
        thread.join()
    assert len(refusals) == 8
