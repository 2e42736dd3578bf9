"""The log: JSON lines in the home, and on the console what a person has to see."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

MAX_BYTES = 5 * 2**20
KEPT_FILES = 3


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
def log_into(home: Path, *, console: int | None = logging.WARNING) -> Iterator[None]:
    """Write the log to `logs/mission-control.log` in *home* while the block runs.

    *console* is the lowest level that standard error gets as well; None for nothing.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = home / "logs"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = RotatingFileHandler(
        folder / "mission-control.log", maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8"
    )
    file.setFormatter(_JsonLines())
    handlers: list[logging.Handler] = [file]
    if console is not None:
        stream = logging.StreamHandler(sys.stderr)
        stream.setLevel(console)
        stream.setFormatter(_OneLine())
        handlers.append(stream)
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield
    finally:
        root.setLevel(before)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
