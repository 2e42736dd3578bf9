"""A home with something of everything in it, and what of it a backup must bring back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import attrs

from log_tables import Images, images_of
from mission_control.storage import US, Change, ManualClock, Reads, open_reader, open_writer
from mission_control.storage import commands as c
from mission_control.storage.history import changes_after
from random_history import furnish
from storage_bench import Bench, open_bench

DATABASE = "mission-control.db"
LATER_US = ManualClock().now_us() + 86_400 * US

NOTES = {
    "mission-control.toml": "[pulse]\ninterval_s = 60\n",
    "souls/shuri/SOUL.md": "You are Shuri.",
    "souls/shuri/versions/1.md": "You were Shuri.",
    "projects/p/KANBAN.md": "# P",
    "projects/p/CHRONICLE.md": "",
    "projects/p/.context": "Be kind.",
    "projects/p/daily/2026-01-01.md": "- nothing",
    "projects/p/agents/shuri/SOUL.md": "here: Shuri",
    "projects/p/agents/shuri/working.md": "half done",
    "projects/p/agents/shuri/history.jsonl": '{"text": "✓"}\n',
    "projects/p/archive/shuri-1.md": "old notes",
}
"""What belongs into a backup."""

OTHERS = {
    "projects/p/src/main.py": "print()",
    "projects/p/notes.txt": "not ours",
    "projects/p/daily/.2026-01-01.md.0123abcd.tmp": "half",
    "mission-control.token": "secret",
    "logs/mission-control.log": "{}",
}
"""What does not."""


@contextmanager
def furnished(home: Path, files: dict[str, str] = NOTES | OTHERS) -> Iterator[Bench]:
    """Make a home, with its database open for writing while the block runs."""
    home.mkdir()
    write(home, files)
    with open_bench(home / DATABASE) as bench:
        furnish(bench)
        yield bench


def killed_writer(home: Path) -> Path:
    """Return a copy of *home* as it is when a writer is killed: its last commit in the log only."""
    killed = home.with_name("killed")
    with closing(open_writer(home / DATABASE)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        bench = Bench(home / DATABASE, connection, Reads(home / DATABASE), done=1_000)
        bench.do(c.CreateTask("p", "only in the log"), at=LATER_US - US)
        shutil.copytree(home, killed)
    assert (killed / f"{DATABASE}-wal").stat().st_size
    return killed


def telling(steps: list[str]) -> list[int]:
    """Return the numbers of *steps*, from 1; of those about one file each, the first and the last.

    All others stand for the same.
    """
    numbers: dict[tuple[str, bool], int] = {}
    for number, step in enumerate(steps, start=1):
        about_a_file = "/" in step or step.endswith(".toml")
        kind = step.partition(" ")[0] if about_a_file else f"{number} {step}"
        numbers.setdefault((kind, False), number)
        numbers[kind, True] = number
    return sorted(set(numbers.values()))


def write(home: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text, "utf-8")


@attrs.frozen
class Picture:
    """All of a home that a restore must bring back as one."""

    rows: Images
    log: list[Change]
    notes: dict[str, str]


def picture(home: Path) -> Picture:
    with closing(open_reader(home / DATABASE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        log = changes_after(connection, 0, 1 << 40)
        return Picture(images_of(connection), log, notes(home))


def notes(home: Path) -> dict[str, str]:
    """Return those of the files in NOTES that are there."""
    return {path: (home / path).read_text("utf-8") for path in NOTES if (home / path).exists()}


def tree(folder: Path) -> dict[str, bytes | str]:
    """Return everything in a folder: files by their bytes, links by where they lead."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"  # noqa: PTH115 - as text
        else:
            found[name] = path.read_bytes() if path.is_file() else "other"
    return found
