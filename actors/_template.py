"""Templates of the status text: checked when they are made, so that filling one in cannot fail."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from ..storage import Invalid

PLACEHOLDERS: Mapping[str, str] = {
    "agent_id": "the agent, as <soul>:<project>",
    "attempt": "which attempt this is, and how earlier ones ended",
    "context": "the project's rules (L2)",
    "events": "the latest task events",
    "learned": "the end of learned.md (L4)",
    "notes": "the newest messages to the agent",
    "project_id": "the project",
    "scoped_path": "the project's folder",
    "soul": "the persona and its refinement (L1)",
    "task_description": "what the card says",
    "task_id": "the card",
    "task_title": "its title",
    "working": "the end of working.md (L3)",
}
"""What a template may name in braces, and what is put there."""

MAX_CHARS = 32_000

_PIECES = re.compile(r"\{\{|\}\}|\{([^{}\n]*)\}|[{}]")


@attrs.frozen
class Template:
    """A text with placeholders, all of them known."""

    text: str
    _parts: tuple[str, ...] = attrs.field(repr=False)
    """In turn what stands there, and the name of a placeholder."""

    @property
    def names(self) -> frozenset[str]:
        """The placeholders that it has."""
        return frozenset(self._parts[1::2])

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the text with *values*, of which there is one for each of `PLACEHOLDERS`."""
        return "".join(values[part] if at % 2 else part for at, part in enumerate(self._parts))


def parse_template(text: str, where: str) -> Template:
    """Make a template of *text*; a brace that is meant as one is written twice.

    Raises:
        Invalid: it is empty or too long, or something in braces is no placeholder; says where.
    """
    if not text.strip() or len(text) > MAX_CHARS:
        message = f"{where}: a template must have 1 to {MAX_CHARS} characters"
        raise Invalid(message, field="template")
    parts, literal, end = list[str](), "", 0
    for piece in _PIECES.finditer(text):
        literal += text[end : piece.start()]
        end = piece.end()
        if piece[0] in ("{{", "}}"):
            literal += piece[0][0]
            continue
        line = text.count("\n", 0, piece.start()) + 1
        parts += [literal, _known(piece, f"{where}:{line}", line)]
        literal = ""
    return Template(text, (*parts, literal + text[end:]))


def _known(piece: re.Match[str], where: str, line: int) -> str:
    name = piece[1]
    if name in PLACEHOLDERS:
        return str(name)
    known = ", ".join(PLACEHOLDERS)
    if name is None:
        problem = f"a lone {piece[0]!r}: write {piece[0] * 2!r} where a brace is meant"
    else:
        problem = f"unknown placeholder {piece[0]!r}; known are: {known}"
    raise Invalid(f"{where}: {problem}", field="template", line=line, placeholder=name)
