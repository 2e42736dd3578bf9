"""The templates that people wrote, for the home and for projects: read again when they change.

What cannot be used never stops work: the last one that could is used on, and it is told.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import attrs

from ..storage import Invalid, read_plain, replace_file
from ._home import MAX_TEMPLATE_BYTES, Home
from ._status_text import DEFAULT
from ._template import Template, parse_template

log = logging.getLogger("mission_control.templates")

_Mark: TypeAlias = tuple[int, int, int] | None


@attrs.define
class _File:
    """One template on disk."""

    path: Path
    good: Template | None = None
    """The last one that could be used; None where there has been none since the file came."""
    problem: str | None = None
    _mark: _Mark = None

    def look(self) -> None:
        """Read it if it has changed."""
        mark = _mark(self.path)
        if mark == self._mark:
            return
        self._mark, self.problem = mark, None
        if mark is None:
            self.good = None
            return
        try:
            self.good = parse_template(_read(self.path), str(self.path))
        except Invalid as bad:
            self.problem = bad.message
            used = "the last good one" if self.good is not None else "the one behind it"
            log.warning("%s (%s is used)", bad.message, used)


@attrs.frozen
class Templates:
    """Those of one home."""

    _home: Home
    _files: dict[Path, _File] = attrs.field(factory=dict)

    def of(self, project_id: str | None) -> Template:
        """Return what a project's status text is made of: its own, the home's, or the built-in."""
        for path in self._paths(project_id):
            good = self._look(path).good
            if good is not None:
                return good
        return DEFAULT

    def source(self, project_id: str | None) -> str:
        """Say where the template of a project, or of the home, comes from."""
        found = (path for path in self._paths(project_id) if self._look(path).good is not None)
        return str(next(found, "built in"))

    def problems(self, project_ids: Iterable[str]) -> list[str]:
        """Return what is wrong with the home's template and with those of these projects."""
        paths = [self.path(None), *(self.path(each) for each in project_ids)]
        problems = [self._look(path).problem for path in paths]
        return [problem for problem in problems if problem is not None]

    def set(self, project_id: str | None, text: str | None) -> None:
        """Replace the template of a project, or of the home; None removes it.

        Raises:
            Invalid: it cannot be used; the old one stays.
            OSError: it cannot be written.
        """
        path = self.path(project_id)
        if text is None:
            path.unlink(missing_ok=True)
        else:
            parse_template(text, "template")
            replace_file(path, text, mode=0o644)
        self._files.pop(path, None)  # what is read at the next look is as new as this

    def path(self, project_id: str | None) -> Path:
        """Return where the template of a project, or of the home, is looked for."""
        return self._home.template if project_id is None else self._home.scope(project_id).template

    def _paths(self, project_id: str | None) -> list[Path]:
        own = [self.path(project_id)] if project_id is not None else []
        return [*own, self.path(None)]

    def _look(self, path: Path) -> _File:
        file = self._files.setdefault(path, _File(path))
        file.look()
        return file


def _mark(path: Path) -> _Mark:
    """Return what changes with the file; None where there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> str:
    found = read_plain(path, MAX_TEMPLATE_BYTES)
    if found is None:
        raise Invalid(f"{path}: it is no plain file that can be read", field="template")
    try:
        return found.decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"{path}: it is no UTF-8 ({error})", field="template") from error
