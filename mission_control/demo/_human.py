"""The demo's human: listens at the sidecar's door like any client, and answers what is asked."""

from __future__ import annotations

import trio

from ..gateway_bridge import connect

ANSWER = "Keep the second one, it is shorter."


async def answer_questions(
    url: str, token: str, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Answer every help request, until cancelled."""
    async with connect(url.replace("http", "ws", 1) + "/rpc", token) as client:
        await client.call("mission.subscribe")
        task_status.started()
        async for event in client.events:
            if event["method"] == "mission.help_requested":
                help_id = event["params"]["id"]
                await client.call("mission.help.answer", help_id=help_id, answer=ANSWER)
