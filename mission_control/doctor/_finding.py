"""What an examination says: one line a fact, with the way to mend it."""

from __future__ import annotations

from enum import Enum

import attrs


class Level(Enum):
    """How much a finding matters."""

    OK = "ok"
    HINT = "hint"
    """Works; somebody may want it otherwise."""
    WARNING = "warning"
    """Works, and not as well or as safely as it could."""
    FAULT = "fault"
    """Something will not work."""


@attrs.frozen
class Finding:
    """One fact about the installation."""

    topic: str
    level: Level
    text: str
    remedy: str = ""
    """What to do, as a sentence or a command; empty where all is well."""


def ok(topic: str, text: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(topic, Level.OK, text)


def hint(topic: str, text: str, remedy: str) -> Finding:
    """Say what might be wanted otherwise."""
    return Finding(topic, Level.HINT, text, remedy)


def warning(topic: str, text: str, remedy: str) -> Finding:
    """Say what could be better or safer."""
    return Finding(topic, Level.WARNING, text, remedy)


def fault(topic: str, text: str, remedy: str) -> Finding:
    """Say what will not work."""
    return Finding(topic, Level.FAULT, text, remedy)
