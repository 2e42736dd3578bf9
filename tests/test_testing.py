"""How a program that embeds Mission Control is tested: its Gateway does as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import trio

import mission_control
from mission_control import Config
from mission_control.config import GatewaySettings, ListenSettings, PulseDefaults
from mission_control.testing import CallTool, FakeGateway, Hang, Say, Step, Turn


async def test_a_task_is_done_though_the_gateway_is_killed_in_the_middle(tmp_path: Path) -> None:
    async def move(task_id: str, new_status: str) -> None:
        await mc.call("mission.task.move", task_id=task_id, new_status=new_status)

    def work(turn: Turn) -> Iterator[Step]:
        if len(gateway.turns) == 1:
            yield Hang("Let me think")
        yield CallTool("mission_task", {"task_id": task["task_id"], "new_status": "done"}, move)
        yield Say("Done.")

    async with FakeGateway(work, resume_after_s=3600).serving() as gateway:
        token_file = tmp_path / "gateway.token"
        token_file.write_text(gateway.token)
        config = Config(
            listen=ListenSettings(port=0),
            gateway=GatewaySettings(gateway.url, str(token_file)),
            pulse=PulseDefaults(retry_delay_s=0.1),
        )
        async with mission_control.open(tmp_path / "home", config) as mc:
            await mc.call("mission.project.init", project_name="Haiku")
            await mc.call("mission.agent.create", instance_id="basho:haiku")
            task = await mc.call(
                "mission.task.create", project_id="haiku", title="Haiku", assignee_id="basho"
            )
            with trio.fail_after(60):
                await gateway.played(1)
                await gateway.kill()
                await gateway.start()
                async with await mc.subscribe(after=0) as changes:
                    async for _ in changes:
                        card = await mc.call("mission.task.get", task_id=task["task_id"])
                        if card["task"]["status_name"] == "done":
                            break
    first, second = gateway.turns
    assert first.session_key == second.session_key
    assert first.run_id != second.run_id
    assert "Haiku" in second.system
    assert not second.resumed
