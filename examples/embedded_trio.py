"""Mission Control inside a trio program: a board, a subscriber, no second process.

Run it: python examples/embedded_trio.py
"""

import tempfile

import trio

import mission_control
from mission_control.config import ListenSettings


async def main() -> None:
    config = mission_control.Config(listen=ListenSettings(port=0))
    with tempfile.TemporaryDirectory() as home:
        async with mission_control.open(home, config) as mc, await mc.subscribe() as changes:
            project = await mc.call("mission.project.init", project_name="Vidsnap")
            task = await mc.call(
                "mission.task.create",
                project_id=project["project_id"],
                title="Login page",
                idempotency_key="first-task",
            )
            why = await mc.call("mission.task.why", task_id=task["task_id"])
            print(why["why"])
            await mc.call("mission.task.move", task_id=task["task_id"], new_status="done")

            with trio.move_on_after(0.2):
                async for change in changes:
                    print(f"{change.seq:>3} {change.kind:<16} by {change.actor}")


if __name__ == "__main__":
    trio.run(main)
