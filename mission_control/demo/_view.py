"""What a person sees while the demo runs: a live board on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..app import MissionControl
from ..storage import Change, Task, TaskStatus

THOUGHTS = 10

_STYLES = {
    TaskStatus.BACKLOG: ("backlog", "white"),
    TaskStatus.IN_PROGRESS: ("in progress", "yellow"),
    TaskStatus.BLOCKED: ("blocked", "red"),
    TaskStatus.DONE: ("done", "green"),
}


class View(Protocol):
    """Shows what happens."""

    def tell(self, line: str) -> None:
        """A thought, or something that happened."""

    def refresh(self) -> None:
        """The records have changed."""


class PlainView:
    """Prints a line for everything that happens."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def tell(self, line: str) -> None:
        """Print it."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def refresh(self) -> None:
        """Lines are enough."""


class LiveView:
    """Redraws board, agents and the latest thoughts."""

    def __init__(self, mc: MissionControl, project_id: str, live: Live) -> None:
        self._mc = mc
        self._project_id = project_id
        self._live = live
        self._thoughts: deque[str] = deque(maxlen=THOUGHTS)

    def tell(self, line: str) -> None:
        """Add it to the latest thoughts."""
        self._thoughts.append(line)

    def refresh(self) -> None:
        """Draw what the records say now."""
        thoughts = Text("\n".join(self._thoughts), no_wrap=True, overflow="ellipsis")
        self._live.update(
            Group(
                board(self._mc, self._project_id),
                agents(self._mc, self._project_id),
                Panel(thoughts, title="thoughts", height=THOUGHTS + 2),
            ),
            refresh=True,
        )


@contextmanager
def open_view(console: Console, mc: MissionControl, project_id: str) -> Iterator[View]:
    """Show what happens while the block runs."""
    if not console.is_terminal:
        yield PlainView(console)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield LiveView(mc, project_id, live)


def board(mc: MissionControl, project_id: str) -> RenderableType:
    """Return the board, column beside column."""
    tasks = mc.mission.reads.board(project_id)
    table = Table(title=f"board of {project_id}", expand=True)
    columns = []
    for status, (title, style) in _STYLES.items():
        table.add_column(title, style=style, ratio=1)
        columns.append("\n".join(_card(task) for task in tasks if task.status is status))
    table.add_row(*columns)
    return table


def _card(task: Task) -> str:
    tries = f", try {task.attempts}" if task.attempts > 1 else ""
    return f"{task.title} ({task.assignee}{tries})"


def agents(mc: MissionControl, project_id: str) -> RenderableType:
    """Return a line for each agent."""
    table = Table.grid(padding=(0, 2))
    for agent in mc.mission.reads.agents(project_id):
        pulse = mc.mission.reads.open_pulse(agent.id)
        doing = f"{pulse.kind.value}, group {pulse.process_group}" if pulse else ""
        table.add_row(Text(agent.id, style="bold"), agent.status.value, doing)
    return table


def line(mc: MissionControl, change: Change, after: dict[str, object]) -> str | None:
    """Return what is worth telling of a change, in one line."""
    if change.kind != "thought_logged":
        return None
    task = next(
        (t for t in mc.mission.reads.board(str(change.project_id)) if t.id == after["task_id"]),
        None,
    )
    who = str(after["agent_id"] or change.actor).partition(":")[0]
    about = f" [{task.title}]" if task else ""
    return f"{who:>16} {after['kind']!s:<8}{about} {after['thought']}"
