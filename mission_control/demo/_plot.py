"""What the demo sets up: a project, three souls, eight tasks; and what must come of it."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

import attrs

from ..app import MissionControl
from ..config import FILE_NAME, Config, load_config

SOULS = {
    "shuri": "You are Shuri. You build things, and you test them before you say so.\n",
    "okoye": "You are Okoye. You guard quality; nothing leaves with a loose end.\n",
    "griot": "You are Griot. You write so that people want to read on.\n",
}


@attrs.frozen
class Card:
    """A task of the demo."""

    title: str
    soul: str
    label: str = "plain"
    after: tuple[str, ...] = ()
    priority: int = 3


CARDS = (
    Card("Sketch the login page", "shuri", priority=1),
    Card("Name the product", "griot", "ask"),
    Card("Write the test plan", "okoye"),
    Card("Build the login page", "shuri", "crash", ("Sketch the login page",)),
    Card("Test the login page", "okoye", "hang", ("Build the login page", "Write the test plan")),
    Card("Write the user guide", "griot", after=("Name the product",)),
    Card("Build the release", "shuri", after=("Test the login page",), priority=2),
    Card("Announce the release", "griot", after=("Build the release", "Write the user guide")),
)


SETTINGS = """\
# Times that make a minute of factory life take seconds, for mission-control demo.
[listen]
port = 0
[process]
grace_s = 0.5
[pulse]
interval_s = 2.0
timeout_s = 20.0
deadman_s = 2.0
retry_delay_s = 0.5
tick_s = 1.0
"""


def settle(home: Path) -> Config:
    """Put the demo's settings into *home*, unless it has its own, and return what holds there.

    They stay with the home, so `mission-control run` goes on as the demo began.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = home / FILE_NAME
    if not path.exists():
        path.write_text(SETTINGS, "utf-8")
    return load_config(home)


def crew_command() -> list[str]:
    """Return what the agents of the demo are."""
    # -I -S: the crew needs no packages, and starts in a tenth of the time.
    return [sys.executable, "-I", "-S", str(files("mission_control.demo").joinpath("_crew.py"))]


async def set_up(mc: MissionControl) -> str:
    """Make project, agents and tasks; return the project's id."""
    project_id = (await mc.call("mission.project.init", project_name="Vidsnap"))["project_id"]
    for soul, text in SOULS.items():
        await mc.call(
            "mission.agent.create",
            soul=soul,
            project_id=project_id,
            soul_text=text,
            command=crew_command(),
        )
    ids: dict[str, str] = {}
    for card in CARDS:
        answer = await mc.call(
            "mission.task.create",
            project_id=project_id,
            title=card.title,
            assignee_id=card.soul,
            priority=card.priority,
            labels=[card.label],
            depends_on=[ids[title] for title in card.after],
        )
        ids[card.title] = answer["task_id"]
    return str(project_id)
