"""The whole inside somebody's own program."""

from __future__ import annotations

import logging
import socket
import threading
import warnings
from pathlib import Path

import pytest
import trio

import mission_control
from mission_control import Config, MissionControl, MissionError
from mission_control.config import ListenSettings
from mission_control.storage import Conflict, Invalid, NotFound, Unavailable
from rig import FAST, PATIENCE_S, crew, until
from system_doors import busy, call, idle, post
from system_processes import workers

ANYWHERE = Config(listen=ListenSettings(port=0), pulse=FAST)


def threads() -> set[threading.Thread]:
    """The threads that run; trio keeps idle ones of its own for a while."""
    return {t for t in threading.enumerate() if not t.name.startswith("Trio thread")}


def open_files() -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(entry.readlink()))
        except OSError:
            continue
    return found


async def test_the_lines_of_the_readme_make_a_board(tmp_path: Path) -> None:
    async with mission_control.open(tmp_path / "factory", ANYWHERE) as mc:
        await mc.call("mission.project.init", project_name="Vidsnap")
        await mc.call("mission.task.create", project_id="vidsnap", title="Login page")
    kanban = tmp_path / "factory/projects/vidsnap/KANBAN.md"
    assert "**Login page**" in kanban.read_text()


async def test_a_home_may_be_a_text_and_settings_come_from_it(tmp_path: Path) -> None:
    (tmp_path / "mission-control.toml").write_text("[listen]\nport = 0\n")
    async with mission_control.open(str(tmp_path)) as mc:
        assert mc.mission.home.path == tmp_path
        assert not mc.url.endswith(":18700")


async def test_refusals_are_raised_as_what_they_are(tmp_path: Path) -> None:
    async with mission_control.open(tmp_path, ANYWHERE) as mc:
        with pytest.raises(NotFound, match=r"there is no method 'mission\.nope'"):
            await mc.call("mission.nope")
        with pytest.raises(NotFound, match="there is no task '7'"):
            await mc.call("mission.task.get", task_id="7")
        with pytest.raises(Invalid, match="parameter 'title' is missing"):
            await mc.call("mission.task.create", project_id="p")
        with pytest.raises(Invalid, match="unknown parameter 'titel'"):
            await mc.call("mission.task.create", project_id="p", title="x", titel="x")
        with pytest.raises(Conflict, match="is in use by mission-control, pid"):
            async with mission_control.open(tmp_path, ANYWHERE):
                pass


async def test_what_the_block_raises_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with mission_control.open(tmp_path, ANYWHERE):
            raise KeyError("mine")


async def test_two_homes_in_one_program_have_nothing_in_common(tmp_path: Path) -> None:
    async with (
        mission_control.open(tmp_path / "one", ANYWHERE, runner=idle()) as one,
        mission_control.open(tmp_path / "two", ANYWHERE, runner=idle()) as two,
        await one.subscribe() as changes,
    ):
        assert one.url != two.url
        await two.call("mission.project.init", project_name="Theirs")
        await one.call("mission.project.init", project_name="Ours")
        assert (await changes.__anext__()).project_id == "ours"
        for mc, name in ((one, "ours"), (two, "theirs")):
            (project,) = (await mc.call("mission.project.list"))["projects"]
            assert project["id"] == name
        refused = await post(one, call("mission.project.list"), two.token)
        assert refused.status == 401


async def test_leaving_the_block_ends_everything(tmp_path: Path) -> None:
    before = threads(), open_files()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with mission_control.open(tmp_path, ANYWHERE) as mc:
            project_id = await crew(mc)
            await mc.call(
                "mission.agent.create",
                instance_id=f"shuri:{project_id}",
                command=["sh", "-c", "sleep 1000 & sleep 1000"],
            )
            await mc.call(
                "mission.task.create", project_id=project_id, title="t", assignee_id="shuri"
            )
            await until(mc, lambda: _running(mc))
            assert workers(tmp_path)
            assert threads() - before[0]
    assert workers(tmp_path) == {}
    assert not threads() - before[0]
    assert {path for path in open_files() - before[1] if str(tmp_path) in path} == set()
    assert not (tmp_path / "mission-control.endpoint").exists()


def _running(mc: MissionControl) -> bool:
    pulse = mc.mission.reads.open_pulse("shuri:p")
    return pulse is not None and pulse.process_group is not None


async def test_being_cancelled_ends_everything_as_well(tmp_path: Path) -> None:
    runner = busy()
    before = threads()
    with trio.CancelScope() as scope:
        async with mission_control.open(tmp_path, ANYWHERE, runner=runner) as mc:
            project_id = await crew(mc, "shuri")
            await mc.call(
                "mission.task.create", project_id=project_id, title="t", assignee_id="shuri"
            )
            await until(mc, lambda: bool(runner.running))
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert runner.running == set()
    assert not threads() - before
    async with mission_control.open(tmp_path, ANYWHERE, runner=idle()) as mc:
        assert mc.mission.reads.pulses_of_task(runner.orders[0].task_id or "")[0].outcome


async def test_a_home_can_be_opened_again_and_again(tmp_path: Path) -> None:
    for number in range(5):
        async with mission_control.open(tmp_path, ANYWHERE) as mc:
            projects = (await mc.call("mission.project.list"))["projects"]
            assert len(projects) == number
            await mc.call("mission.project.init", project_name=f"P {number}")


async def test_a_home_that_cannot_be_one_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match=r"cannot use the home .*file"):
        async with mission_control.open(tmp_path / "file", ANYWHERE):
            pass


async def test_calls_after_the_block_are_refused_and_do_not_hang(tmp_path: Path) -> None:
    async with mission_control.open(tmp_path, ANYWHERE) as mc:
        project_id = await crew(mc)
    with trio.fail_after(PATIENCE_S), pytest.raises(MissionError):
        await mc.call("mission.task.create", project_id=project_id, title="late")
    mc.mission.reads.close()


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_an_ipv6_sidecar_is_reached_under_its_address(tmp_path: Path) -> None:
    config = Config(listen=ListenSettings(host="::1", port=0), pulse=FAST)
    async with mission_control.open(tmp_path, config) as mc:
        assert mc.url.startswith("http://[::1]:")
        url = f"ws{mc.url[4:]}/rpc"
        async with mission_control.gateway_bridge.connect(url, mc.token) as client:
            assert (await client.call("mission.project.list"))["projects"] == []


async def test_nothing_is_logged_that_went_well(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with mission_control.open(tmp_path, ANYWHERE, runner=idle()) as mc:
        await crew(mc, "shuri")
    assert caplog.records == []
