"""The fault matrix: what a real Gateway, a sidecar and the line between them can do to each other.

Whatever was done, in the end every card is done, on the board and in KANBAN.md, every agent
rests, no turn ran twice (by the model's own book), and nothing is left running in the Gateway.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from tenacity import wait_random_exponential

from mission_control.actors import Home
from mission_control.gateway_bridge import (
    Gateway,
    GatewayAddress,
    GatewayRefused,
    _frames,
    _link,
    _plugin_bridge,
    open_connection,
)
from mission_control.gateway_bridge._device import Device, read_or_make_device
from mission_control.gateway_bridge._frames import Challenged
from mission_control.storage import MissionError
from openclaw_paths import OpenClaw

from .cable import Cable
from .factory import plugin_in
from .gateway_stack import TOKEN, GatewayStack, free_port
from .scripted_model import CallTool, Say, ScriptedModel, Stall
from .shift import DONE, Gate, Shift
from .works import Works, crew, held, link, until

pytestmark = [pytest.mark.openclaw, pytest.mark.slow, pytest.mark.timeout(600)]

SETTINGS = """
[pulse]
interval_s = 3.0
retry_delay_s = 0.5
tick_s = 2.0
max_running_per_project = 8
"""

ROUNDS = int(os.environ.get("GATEWAY_CHAOS_ROUNDS", "1"))
CUTS = 12
LARGE_ANSWERS = 40

HOLD = CallTool("exec", {"command": "touch held; sleep 600"})
"""A tool call in the middle of which things happen; that it has begun shows in `src/`."""


@pytest.fixture(scope="module")
def works(openclaw: OpenClaw, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Works]:
    root = tmp_path_factory.mktemp("faults")
    home, port, shift = root / "mission-home", free_port(), Shift()
    home.mkdir()
    (home / "mission-control.toml").write_text(SETTINGS)
    with ScriptedModel(shift) as model:
        stack = GatewayStack(
            openclaw,
            root / "gateway",
            model.url,
            plugins=plugin_in(root / "plugin", home, port),
            tools=("exec", "read", "write", "mission-control"),
        )
        with stack:
            yield Works(stack, model, home, port, shift)


@pytest.fixture(autouse=True)
def a_gateway_runs(works: Works) -> None:
    """What a test that failed left behind must not fail the next ones."""
    if not works.stack.runs:
        works.stack.start()


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("CHAOS_SEED", secrets.randbelow(10**9)))
    print(f"the moments of this run: CHAOS_SEED={seed}")  # noqa: T201 - shown where it fails
    return random.Random(seed)  # noqa: S311 - moments, no secrets


async def test_a_gateway_that_is_killed_in_the_middle_of_a_tool_call(works: Works) -> None:
    works.shift.first["Killed Gateway"] = (HOLD,)
    async with works.inside() as mc:
        project_id = await crew(mc.call, "Gateway killed", "Killed Gateway", "Beside it")
        await until(held(works, project_id))
        await works.gateway_is_killed()
        await works.gateway_starts()
        await works.all_is_well(project_id)
    assert works.shift.begun("Killed Gateway") == 2


async def test_a_sidecar_that_is_killed_in_the_middle_of_a_tool_call(works: Works) -> None:
    work = CallTool("exec", {"command": "touch held; while [ ! -e go ]; do sleep 0.1; done"})
    works.shift.first["Killed sidecar"] = (work, DONE, Say("Adopted."))
    with works.sidecar() as sidecar:
        async with works.client() as client:
            project_id = await crew(client.call, "Sidecar killed", "Killed sidecar")
        await until(held(works, project_id))
        sidecar.kill()
        sidecar.wait()
    links = works.stack.said("connected to Mission Control")
    with works.sidecar():
        await until(lambda: works.stack.said("connected to Mission Control") > links)
        Home(works.home).scope(project_id).src.joinpath("go").touch()
        await works.all_is_well(project_id)
    assert works.shift.begun("Killed sidecar") == 1


async def test_both_are_killed_and_the_gateway_goes_on_by_itself_before_the_sidecar_is_back(
    works: Works,
) -> None:
    title = "Killed both"
    works.shift.first[title] = (HOLD,)
    with works.sidecar() as sidecar:
        async with works.client() as client:
            project_id = await crew(client.call, "Both killed", title)
        await until(held(works, project_id))
        await works.gateway_is_killed()
        sidecar.kill()
        sidecar.wait()
    await works.gateway_starts()
    await until(lambda: works.shift.resumptions(title))
    with works.sidecar():
        await works.all_is_well(project_id)
    assert works.shift.begun(title) == 2


async def test_a_gateway_that_is_told_to_stop_while_a_turn_hangs(works: Works) -> None:
    hung = Gate(Stall("Thinking"))
    works.shift.first["Hung"] = (hung,)
    hung.opened.set()
    async with works.inside() as mc:
        project_id = await crew(mc.call, "Gateway stops", "Hung")
        await until(hung.reached.is_set)
        works.stack.signal(signal.SIGTERM)
        await until(lambda: mc.mission.runner.away)
        later = await crew(mc.call, "While it stops", "Comes later")
        await works.gateway_is_killed()  # as service managers do after a while
        assert works.shift.begun("Comes later") == 0
        await works.gateway_starts()
        await works.all_is_well(project_id)
        await works.all_is_well(later)
    assert works.shift.begun("Hung") == 2
    assert works.shift.begun("Comes later") == 1


async def test_a_gateway_that_restarts_within_its_process(works: Works) -> None:
    gate = Gate(DONE)
    works.shift.first["Restarted"] = (gate, Say("It is done."))
    async with works.inside() as mc:
        project_id = await crew(mc.call, "Gateway restarts", "Restarted", "Before the restart")
        await until(gate.reached.is_set)
        boot_id = link(mc).boot_id
        works.stack.signal(signal.SIGUSR2)
        later = await crew(mc.call, "While it restarts", "In between")
        gate.opened.set()
        await until(lambda: link(mc).boot_id not in (boot_id, None))
        await works.all_is_well(project_id)
        await works.all_is_well(later)
    assert works.shift.begun("Restarted") == 1
    assert works.shift.begun("In between") == 1


async def test_a_line_that_is_cut_at_random_bytes(
    works: Works, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_link, "_backoff", wait_random_exponential(multiplier=0.02, max=0.2))
    titles = [f"Cut {number}" for number in range(4)]
    cable = Cable(works.stack.port, length=lambda: chance.randrange(1, 100_000))
    async with cable.plugged_in() as url, works.inside(url) as mc:
        project_id = await crew(mc.call, "Line cut", *titles)
        while cable.cuts < CUTS:
            with suppress(MissionError):
                await mc.mission.runner.host_agents()  # an idle line carries nothing to be cut in
            await trio.sleep(0.01)
        cable.length = lambda: None
        await works.all_is_well(project_id)
    assert [works.shift.begun(title) for title in titles] == [1] * len(titles)


async def test_a_reader_that_is_so_slow_that_the_gateway_drops_it(works: Works) -> None:
    gate = Gate(DONE)
    works.shift.first["Slow"] = (gate, Say("It is done."))
    cable = Cable(works.stack.port)
    async with cable.plugged_in() as url, works.inside(url) as mc:
        project_id = await crew(mc.call, "Slow reader", "Slow")
        await until(gate.reached.is_set)
        cable.clog()
        async with trio.open_nursery() as nursery:
            for _ in range(LARGE_ANSWERS):
                nursery.start_soon(ask_for_much, link(mc))
            await until(lambda: cable.is_hung_up_on() or cable.begun > 1)
            gate.opened.set()
            await works.nothing_runs()
            cable.unclog()
            await cable.has_begun(2)
        await works.all_is_well(project_id)
    assert works.shift.begun("Slow") == 1


async def ask_for_much(gateway: Gateway) -> None:
    """Ask for two million bytes; whether they arrive is all the same."""
    with suppress(MissionError):
        await gateway.call("config.schema", {})


async def test_a_gateway_that_is_away_for_long(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A minute with the usual waits, which grow to 5 s, is 15 attempts and more.
    monkeypatch.setattr(_link, "_backoff", wait_random_exponential(multiplier=0.01, max=0.2))
    gate = Gate(DONE)
    works.shift.first["Away"] = (gate, Say("It is done."))
    cable = Cable(works.stack.port)
    async with cable.plugged_in() as url, works.inside(url) as mc:
        project_id = await crew(mc.call, "Gateway away", "Away")
        await until(gate.reached.is_set)
        cable.unplug()
        later = await crew(mc.call, "While it is away", "Has to wait")
        gate.opened.set()  # the Gateway itself goes on, and so does the turn in it
        await cable.has_begun(cable.begun + 15)
        assert works.shift.begun("Has to wait") == 0
        cable.unplugged = False
        await works.all_is_well(project_id)
        await works.all_is_well(later)
    assert works.shift.begun("Away") == 1
    assert works.shift.begun("Has to wait") == 1


async def test_a_wrong_token_is_said_and_nothing_begun_until_it_is_mended(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_link, "REFUSED_WAIT_S", 0.2)
    async with works.inside(token="wrong") as mc:
        project_id = await crew(mc.call, "Wrong token", "Let in")
        await until(lambda: "AUTH_TOKEN_MISMATCH" in (mc.mission.runner.away or ""))
        health = await mc.call("mission.system.health")
        assert "check --token-file" in health["away"]
        assert works.shift.begun("Let in") == 0
        works.token_file.write_text(TOKEN)
        await works.all_is_well(project_id)
    assert works.shift.begun("Let in") == 1


@attrs.frozen
class Forger(Device):
    """Shows a device's id, and a signature that is good for another greeting."""

    def proof(self, connect: Mapping[str, Any], challenge: Challenged) -> dict[str, Any]:
        overheard = super().proof(connect, attrs.evolve(challenge, nonce="of another greeting"))
        return {**overheard, "nonce": challenge.nonce}


async def test_the_gateway_knows_a_device_by_what_it_signs(works: Works, tmp_path: Path) -> None:
    device = read_or_make_device(tmp_path / "device.pem")
    address = GatewayAddress(works.stack.url, TOKEN, device)
    async with open_connection(address, lambda _: None) as connection:
        assert set(connection.hello.scopes) >= set(_frames.SCOPES)
    forged = attrs.evolve(address, device=Forger(device._key))
    with pytest.raises(GatewayRefused, match="DEVICE_AUTH_SIGNATURE_INVALID"):
        async with open_connection(forged, lambda _: None):
            pass


async def test_a_gateway_of_another_protocol(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_link, "REFUSED_WAIT_S", 0.2)
    with monkeypatch.context() as another:
        another.setattr(_frames, "PROTOCOL", 5)
        async with works.inside() as mc:
            project_id = await crew(mc.call, "Protocol", "Understood")
            await until(lambda: "PROTOCOL_MISMATCH" in (mc.mission.runner.away or ""))
            assert works.shift.begun("Understood") == 0
            another.undo()  # the Gateway was replaced by one that fits
            await works.all_is_well(project_id)
    assert works.shift.begun("Understood") == 1


async def test_a_plugin_that_is_older_than_the_sidecar(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(_plugin_bridge, "PROTOCOL", 2)
        async with works.inside() as mc:
            await until(lambda: "install-plugin again" in (mc.mission.runner.away or ""))
            project_id = await crew(mc.call, "Old plugin", "Upgraded")
            assert works.shift.begun("Upgraded") == 0
            newer.undo()  # the plugin was installed anew
            await works.all_is_well(project_id)
    assert works.shift.begun("Upgraded") == 1


@pytest.mark.timeout(1200)
async def test_fifty_agents_over_a_day_of_hourly_pulses(works: Works) -> None:
    # An hour is three seconds long here.  Every fifth agent needs two pulses for its card.
    titles = [f"Card {number}" for number in range(50)]
    for title in titles[::5]:
        works.shift.first[title] = (Say("More in an hour."),)
    async with works.inside() as mc:
        project_id = await crew(mc.call, "Fifty", *titles)
        await works.all_is_well(project_id, patience_s=1000.0)
    begun = [works.shift.begun(title) for title in titles]
    assert begun == [1 + (number % 5 == 0) for number in range(50)]


@pytest.mark.timeout(600 * ROUNDS)
async def test_kills_at_random_moments(works: Works, chance: random.Random) -> None:
    for number in range(ROUNDS):
        await one_is_killed(works, chance, f"Round {number}")


async def one_is_killed(works: Works, chance: random.Random, name: str) -> None:
    titles = [f"{name}.{number}" for number in range(3)]
    work = CallTool("exec", {"command": "sleep 2"})
    works.shift.first |= dict.fromkeys(titles, (work, DONE, Say("It is done.")))
    with ExitStack() as lives:
        sidecar = lives.enter_context(works.sidecar())
        async with works.client() as client:
            project_id = await crew(client.call, name, *titles)
        await trio.sleep(chance.uniform(0.0, 8.0))
        victims = chance.choice([("gateway",), ("sidecar",), ("gateway", "sidecar")])
        if "gateway" in victims:
            await works.gateway_is_killed()
        if "sidecar" in victims:
            sidecar.kill()
            sidecar.wait()
        print(f"{name}: {' and '.join(victims)} killed")  # noqa: T201 - shown where it fails
        if "gateway" in victims:
            await works.gateway_starts()
        if "sidecar" in victims:
            lives.enter_context(works.sidecar())
        await works.all_is_well(project_id)
