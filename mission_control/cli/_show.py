"""Answers in words: tables and trees for people."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

_PIPE_COLUMNS = 10_000
"""A pipe has no edge at which a line would have to be broken."""

console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_COLUMNS)

_COPIED = {"id", "name"}
"""Members that people copy: never broken over two lines."""

_COLOURS = {
    "backlog": "white",
    "in_progress": "yellow",
    "done": "green",
    "blocked": "red",
    "archived": "bright_black",
    "idle": "white",
    "working": "yellow",
    "distilling": "cyan",
    "paused": "bright_black",
    "failed": "red",
}


def coloured(status: str) -> Text:
    """Return a status in its colour."""
    return Text(status, style=_COLOURS.get(status, ""))


def rows(items: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Print a table; *columns* are headings by the names of the items' members."""
    if not items:
        console.print("none")
        return
    table = Table(box=None, pad_edge=False)
    for name, heading in columns.items():
        table.add_column(heading, overflow="fold", no_wrap=name in _COPIED)
    for item in items:
        table.add_row(*(_cell(name, item.get(name)) for name in columns))
    console.print(table)


def _cell(name: str, value: object) -> Text:
    if name in ("status", "status_name", "state"):
        return coloured(str(value))
    if isinstance(value, list):
        return Text(", ".join(str(each) for each in value))
    return Text("" if value is None else str(value))


def record(value: Mapping[str, Any]) -> None:
    """Print one record, a line a member."""
    for name, member in value.items():
        if member not in (None, "", []):
            console.print(Text(f"{name:>18}  ", style="bright_black") + _cell(name, member))


def actors(node: Mapping[str, Any]) -> None:
    """Print the supervision tree."""
    console.print(_branch(node, Tree(_actor(node))))


def _branch(node: Mapping[str, Any], tree: Tree) -> Tree:
    for child in node["children"]:
        _branch(child, tree.add(_actor(child)))
    return tree


def _actor(node: Mapping[str, Any]) -> Text:
    text = Text(str(node["id"]), style="bold")
    text.append(f"  {node['state']}", style="bright_black")
    if node["mailbox"]:
        text.append(f"  mailbox {node['mailbox']}", style="yellow")
    if node["restarts"]:
        text.append(f"  restarts {node['restarts']}", style="yellow")
    if node["last_error"]:
        text.append(f"  {node['last_error']}", style="red")
    return text
