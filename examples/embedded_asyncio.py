"""Mission Control inside an asyncio program: it runs in a thread, and the loop awaits its calls.

Run it: python examples/embedded_asyncio.py
"""

import asyncio
import tempfile

from mission_control import Config
from mission_control.config import ListenSettings
from mission_control.threaded import ThreadedMissionControl, open_in_thread


async def add_card(mc: ThreadedMissionControl, project_id: str, title: str) -> str:
    task = await mc.acall("mission.task.create", project_id=project_id, title=title)
    return str(task["task_id"])


async def main() -> None:
    config = Config(listen=ListenSettings(port=0))
    with tempfile.TemporaryDirectory() as home, open_in_thread(home, config) as mc:
        project = await mc.acall("mission.project.init", project_name="Vidsnap")
        titles = ("Login page", "Upload", "Player")
        cards = await asyncio.gather(*(add_card(mc, project["project_id"], t) for t in titles))
        await mc.acall("mission.task.move", task_id=cards[0], new_status="done")

        # The same from any thread: `call` blocks it, and nobody else.
        board = await asyncio.to_thread(mc.call, "mission.task.list", project_id="vidsnap")
        for task in board["tasks"]:
            print(f"{task['status_name']:<12} {task['title']}")


if __name__ == "__main__":
    asyncio.run(main())
