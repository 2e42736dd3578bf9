"""`mission-control agent import` from a Gateway that is not the sidecar's own."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio

from system_command import Ended, sidecar

from .fake_gateway import TOKEN, FakeGateway, Frame, Peer
from .test_runner import Host

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


async def test_the_agents_of_another_gateway_are_listed_and_imported(tmp_path: Path) -> None:
    async def soul(peer: Peer, request: Frame) -> None:
        text = {"content": "You write."} if request["params"]["agentId"] == "writer" else {}
        await peer.answer(request, file={"name": "SOUL.md", "missing": not text} | text)

    agents = [{"id": "main", "workspace": "/w/main"}, {"id": "writer", "workspace": "/w/writer"}]
    host = Host({"agents.list": {"agents": agents}, "agents.files.get": soul})
    fake, token = FakeGateway(handle=host), tmp_path / "gateway.token"
    token.write_text(TOKEN)
    with sidecar(tmp_path / "home") as found:
        async with fake.serving():

            async def import_(*arguments: str) -> Ended:
                there = ("--gateway", fake.url, "--token-file", str(token))
                run = partial(found.run, "agent", "import", *there, *arguments)
                return await trio.to_thread.run_sync(run)

            await trio.to_thread.run_sync(found.run, "project", "init", "P")
            listed = (await import_()).words
            assert [line.split()[0] for line in listed.splitlines()] == ["agent", "main", "writer"]
            assert "no agent 'nobody'" in (await import_("nobody")).refusal
            assert "'main' has no SOUL.md in /w/main" in (await import_("main")).refusal
            assert (await import_("writer", "--project", "p")).words == "writer:p"
            assert (found.home / "souls/writer/SOUL.md").read_text() == "You write."
            (found.home / "souls/writer/SOUL.md").write_text("Changed here.")
            refused = await import_("writer")
            assert "exists already with another SOUL.md" in refused.refusal
            assert refused.code == 75
            token.write_text("wrong")
            assert "check --token-file" in (await import_()).refusal
