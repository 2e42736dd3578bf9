"""What is left to do: nothing, once people have calmed down and all have had their time."""

from __future__ import annotations

from collections.abc import Iterator

from mission_control.storage import TaskStatus

from .laws import Laws
from .people import People


def unfinished(laws: Laws) -> Iterator[str]:
    """Return what was begun and has not come to its end."""
    for project in laws.estates.projects.values():
        if project["deleting"] is not None:
            yield f"the deletion of {project}"
    for task in laws.tasks.values():
        if task["status"] not in (TaskStatus.DONE, TaskStatus.ARCHIVED):
            yield f"task {task}"
    for pulse in laws.open_pulses.values():
        yield f"pulse {pulse}"
    for message in laws.messages.values():
        if message["read_by"] is None and message["wakes"]:
            yield f"message {message}"


def lost(laws: Laws, people: People) -> Iterator[str]:
    """Return what was acknowledged and is not there, or is there twice."""
    titles = [task["title"] for task in laws.tasks.values()]
    for title in sorted(people.made - people.deleted):
        if titles.count(title) != 1:
            yield f"{title} was acknowledged, and is there {titles.count(title)} times"
