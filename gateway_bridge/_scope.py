"""What OpenClaw's own tools may touch in a project: a judgement of the paths that a call names.

A guardrail for agents that mean well: between this look and the tool's own a path may change, and
a command may name what no parameter shows.  The boundary is the Gateway's sandbox, which `doctor`
looks at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from ..storage.files import SECRETS

READING = frozenset({"read", "ls", "find", "grep", "image", "pdf"})
"""Tools that change nothing."""
COMMANDS = frozenset({"exec", "bash", "process", "terminal", "code_execution"})
"""Tools that run programs: only the folder they run in can be judged."""

_PATHS = frozenset(
    {
        "cwd",
        "destination",
        "dir",
        "directory",
        "file",
        "filePath",
        "file_path",
        "file_paths",
        "filename",
        "path",
        "paths",
        "workdir",
    }
)
"""Names of parameters that hold paths, in the tools of OpenClaw 2026.9.6."""
_ENDS = frozenset({"from", "source", "target", "to"})
"""These too, but for the tools that talk: there they are people and sessions."""
_MEDIA = frozenset({"attachments", "image", "images", "media", "mediaUrl", "pdf", "pdfs"})
"""These hold a path, or the address of what the Gateway is to fetch."""
_FETCHED = re.compile(r"(?:https?|data):", re.IGNORECASE)
_PATCHED = re.compile(r"^\*\*\* (?:(?:Add|Update|Delete) File|Move to): (.+)$", re.MULTILINE)


@attrs.frozen
class ToolScope:
    """The folders that an agent's tools are held to."""

    project: Path
    """May be read, but for its secrets."""
    cwd: Path
    """Where relative paths begin; may be written, all of it."""
    notes: Path
    """The one file elsewhere that may be written: the agent's `working.md`."""

    def refusal(self, tool: str, params: Mapping[str, Any], derived: object = None) -> str | None:
        """Say why a call of *tool* is refused, in words for the model; None where it is not.

        Args:
            tool: as the Gateway names it.
            params: as the model wrote them, perhaps without long texts.
            derived: the paths that the Gateway itself found in them.
        """
        paths = {*_named(tool, params), *_listed(derived)}
        writes = tool not in READING and tool not in COMMANDS
        for path in sorted(paths):
            why = self._judge(path, tool, writes=writes)
            if why:
                return f"{tool} refused: {path!r} {why}"
        return None

    def _judge(self, path: str, tool: str, *, writes: bool) -> str | None:
        if "\0" in path or path[:5].lower() == "file:":
            return "is not a path: give one relative to your working folder"
        if path.startswith("~"):
            return "is outside your project: give a path relative to your working folder"
        real = Path(os.path.realpath(self.cwd / path))
        project, source = (Path(os.path.realpath(each)) for each in (self.project, self.cwd))
        if not real.is_relative_to(project):
            return "is outside your project: stay in your working folder"
        if secret := _secret(real, project, tool):
            return secret
        if writes and not real.is_relative_to(source) and real != self._notes(project):
            return "is kept by Mission Control: write in src/ or in your own working.md"
        return None

    def _notes(self, project: Path) -> Path:
        return project / self.notes.relative_to(self.project)


def _secret(real: Path, project: Path, tool: str) -> str | None:
    top = real.relative_to(project).parts[:1]
    if top and top[0].casefold() == SECRETS:
        return "is for administrators only: do without"
    if tool == "grep" and not top and (project / SECRETS).exists():
        return "holds what is for administrators only: search in src/ or another folder"
    return None


def _named(tool: str, params: Mapping[str, Any]) -> Iterator[str]:
    talks = tool == "message" or tool.startswith("sessions_")
    for name, value in params.items():
        if name in _PATHS or (name in _ENDS and not talks):
            yield from _texts(value)
        if name in _MEDIA:
            yield from (text for text in _texts(value) if not _FETCHED.match(text))
        if tool == "apply_patch" and isinstance(value, str):
            yield from (path.strip() for path in _PATCHED.findall(value))


def _listed(derived: object) -> Iterator[str]:
    """Yield the strings in a list of paths, or of objects with a `path`."""
    for item in derived if isinstance(derived, list) else ():
        yield from _texts(item.get("path") if isinstance(item, dict) else item)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
