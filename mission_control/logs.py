"""The log: JSON lines in the home, and on the console what a person has to see."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from logging.handlers import MemoryHandler, RotatingFileHandler
from pathlib import Path

from .actors import Home

MAX_BYTES = 5 * 2**20
KEPT_FILES = 3
MAX_HELD_BACK = 10_000
"""Records that may wait for the console; with one more it gets them all."""


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "at": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _OneLine(logging.Formatter):
    """Without tracebacks: those are in the file."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        return f"{at} {record.levelname.lower()}: {record.getMessage()}"


@contextmanager
def log_into(home: Path, *, console: int | None = logging.WARNING) -> Iterator[Callable[[], None]]:
    """Write the log to `logs/mission-control.log` in *home* while the block runs.

    *console* is the lowest level that standard error gets as well; None for nothing.  It gets
    nothing before the function that this yields is called: whoever cannot start says why in one
    line, and the rest is in the file.

    Raises:
        HomeUnusable: nothing can be written there.
    """
    Home(home).make()
    folder = home / "logs"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = RotatingFileHandler(
        folder / "mission-control.log", maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8"
    )
    file.setFormatter(_JsonLines())
    held_back = _console(console)
    handlers = [file] if console is None else [file, held_back]
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield partial(_release, held_back)
    finally:
        root.setLevel(before)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


def _console(level: int | None) -> MemoryHandler:
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(_OneLine())
    held_back = MemoryHandler(
        MAX_HELD_BACK, flushLevel=sys.maxsize, target=stream, flushOnClose=False
    )
    held_back.setLevel(level or logging.CRITICAL)
    return held_back


def _release(held_back: MemoryHandler) -> None:
    held_back.flushLevel = logging.NOTSET
    held_back.flush()
