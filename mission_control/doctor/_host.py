"""Looks at this host: the home, its files, its disk, the database, the sidecar."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ..actors import Home, UnfitToken, read_token
from ..storage import MissionError, SchemaMismatch, WallClock, open_reader
from ..storage.backups import Backups
from ..storage.schema import schema_status
from ._finding import Finding, fault, hint, ok, warning

LOW_DISK = 1 << 30

FIXED_SQLITE = (3, 51, 3)
"""Older ones may corrupt a log that two programs write at once: sqlite.org/wal.html."""


def examine_host(home: Home) -> Iterator[Finding]:
    """Yield what can be seen without a sidecar and without a Gateway."""
    yield _program()
    if not home.path.is_dir():
        yield hint("home", f"{home.path} is not there yet", "'mission-control run' makes it")
        return
    yield _writable(home.path)
    yield _room(home.path)
    yield from _private(home)
    if home.restoring.exists():
        yield warning("restore", "one was interrupted", "'mission-control run' ends it")
    yield from _database(home)


def _program() -> Finding:
    python = ".".join(map(str, sys.version_info[:3]))
    text = f"Python {python}, SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info >= FIXED_SQLITE:
        return ok("program", text)
    return hint(
        "program",
        f"{text}: safe with one writer, which the sidecar is",
        "do not write to the live database with another tool",
    )


def _writable(home: Path) -> Finding:
    if not os.access(home, os.W_OK | os.X_OK):
        return fault("home", f"{home} cannot be written to by this user", "choose another --home")
    if home.stat().st_mode & 0o077:
        text = f"others on this host may enter {home}"
        return warning("home", text, f"run 'chmod 700 {home}'")
    return ok("home", str(home))


def _room(home: Path) -> Finding:
    free = shutil.disk_usage(home).free
    text = f"{free / (1 << 30):.1f} GiB free"
    return ok("disk", text) if free >= LOW_DISK else warning("disk", text, "make room")


def _private(home: Home) -> Iterator[Finding]:
    for path in (home.database, home.principals, home.device):
        if path.exists() and path.stat().st_mode & 0o077:
            yield warning(
                "secrets", f"others on this host may read {path}", f"run 'chmod 600 {path}'"
            )
    try:
        read_token(home.token)
    except UnfitToken as why:
        remedy = f"run 'chmod 600 {home.token}' if that is all, else remove it: a new one is made"
        yield warning("secrets", f"{home.token} {why}: the sidecar will not use it", remedy)
    yield from _access(home)


def _access(home: Home) -> Iterator[Finding]:
    """Yield the modes of what opens the API, and what is wrong with them."""
    folder = home.socket.parent
    ways = [path for path in (home.token, home.principals, folder, home.socket) if path.exists()]
    if home.socket.exists() and folder.stat().st_mode & 0o077:
        remedy = "start the sidecar again, which closes it"
        yield warning("access", f"others on this host may enter {folder}", remedy)
    elif ways:
        modes = [f"{path.name} {stat.S_IMODE(path.stat().st_mode):04o}" for path in ways]
        yield ok("access", ", ".join(modes))


def _database(home: Home) -> Iterator[Finding]:
    if not home.database.exists():
        yield hint("database", "there is none yet", "'mission-control run' makes it")
        return
    verdict, problem = "ok", None
    try:
        with closing(open_reader(home.database)) as reader:
            (verdict,) = reader.execute("PRAGMA quick_check(1)").fetchone()
        problem = schema_status(home.database).problem
    except SchemaMismatch as misfit:
        problem = misfit.message
    except (sqlite3.Error, MissionError) as error:
        verdict = str(error)
    if verdict != "ok":
        yield fault("database", f"damaged: {verdict}", _RESTORE)
    elif problem is not None:
        yield fault("database", problem, "see 'mission-control db status'")
    else:
        yield ok("database", f"sound, {home.database.stat().st_size / (1 << 20):.1f} MiB")
    yield _backups(home)


_RESTORE = "bring one back: 'mission-control backup list', then 'backup restore'"


def _backups(home: Home) -> Finding:
    made = [each for each in Backups(home.path, WallClock()).list() if not each.damaged]
    if not made:
        return hint("backups", "there is none", "'mission-control backup create' makes one")
    return ok("backups", f"{len(made)}, the newest is {made[-1].id}")
