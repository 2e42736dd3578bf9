"""Your own command as an agent: a shell script that reads its status text and moves its task.

Run it: python examples/local_crew.py
"""

import sys
import tempfile

import trio

import mission_control
from mission_control.config import ListenSettings

# Any program will do.  It has its status text on standard input, and its identity, the address of
# the API and a token in its environment; `mission-control` finds them there.
AGENT = f"""
cat > status.txt
{sys.executable} -m mission_control log "I write a haiku, then I am done."
echo "the board is empty / somebody has moved a card / autumn in the queue" > haiku.txt
{sys.executable} -m mission_control task move "$MISSION_CONTROL_TASK_ID" done
"""


async def main() -> None:
    config = mission_control.Config(listen=ListenSettings(port=0))
    with tempfile.TemporaryDirectory() as home:
        async with mission_control.open(home, config) as mc, await mc.subscribe() as changes:
            await mc.call("mission.project.init", project_name="Haiku")
            await mc.call(
                "mission.agent.create", instance_id="basho:haiku", command=["/bin/sh", "-c", AGENT]
            )
            task = await mc.call(
                "mission.task.create", project_id="haiku", title="Haiku", assignee_id="basho"
            )
            async for change in changes:
                state = (await mc.call("mission.task.get", task_id=task["task_id"]))["task"]
                print(f"{change.kind:<16} {state['status_name']}")
                if state["status_name"] == "done":
                    break
            print((mc.mission.home.scope("haiku").src / "haiku.txt").read_text())


if __name__ == "__main__":
    trio.run(main)
