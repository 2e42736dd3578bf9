"""What is known of the plugins that came, let in or not."""

from __future__ import annotations

import trio

from mission_control.gateway_bridge import OpenClawRunner, PluginLinks
from mission_control.testing import FakeGateway

from .test_link import linked


def test_a_plugin_that_was_turned_away_is_a_hindrance_while_it_comes_again() -> None:
    now = 0.0
    links = PluginLinks(now=lambda: now)
    assert links.hindrance() is None
    for _ in range(10):
        links.note_misfit("another release")
        now += 10
        assert links.hindrance() == "another release"
    now += 55
    assert links.hindrance() is None


def test_a_plugin_that_is_there_makes_up_for_one_that_was_turned_away() -> None:
    links = PluginLinks()
    links.note_misfit("another release")
    links.connected += 1
    assert links.hindrance() is None


async def test_worker_threads_may_ask_for_hindrances() -> None:
    links = PluginLinks()
    links.note_misfit("another release")
    assert await trio.to_thread.run_sync(links.hindrance) == "another release"


async def test_nothing_is_begun_while_there_is_a_hindrance() -> None:
    hindrances: list[str | None] = ["another release"]
    async with FakeGateway().serving() as fake, linked(fake) as gateway:
        runner = OpenClawRunner(gateway, hindrance=lambda: hindrances[-1])
        await gateway.wait_connected()
        assert runner.away == "another release"
        hindrances.append(None)
        assert runner.away is None
