"""Cuts a command line into the simple commands that a shell would run, as far as one can see.

Not a shell: it finds words, quotes, substitutions, redirections and here-documents, and is at peace
with whatever else there is.  Nothing is expanded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

MAX_CHARS = 8_000
"""Of a command line that is looked at."""
MAX_DEPTH = 8
"""Of substitutions in substitutions."""

LITERAL = str.maketrans({"$": "\ufdd0", "~": "\ufdd1"})
"""What a quoted `$` and `~` are written as, so that nobody takes them for expansions."""
SHOWN = str.maketrans({"\ufdd0": "$", "\ufdd1": "~"})

_OPERATOR = re.compile(r"&&|\|\||\|&|;;|[;&|\n()]")
_REDIRECT = re.compile(r"\d*(?:<<<|<<-?|<>|>>|>\||>&|<&|<|>)|&>>?")
_SPACE = " \t\r"


@attrs.define
class Simple:
    """One simple command."""

    words: list[str] = attrs.field(factory=list)
    redirects: list[tuple[str, str]] = attrs.field(factory=list)
    """Operators and where they lead."""
    body: str = ""
    """What it reads from a here-document or here-string."""
    fed_by: Simple | None = None
    """The command before it in a pipe."""
    scope: int = 0
    """The subshell that it runs in: `cd` in one is not felt outside."""


def simple_commands(line: str) -> list[Simple]:
    """Return the commands of *line*, those of its substitutions before the one they are part of."""
    return _Reader(line[:MAX_CHARS], 0).commands()


class _Reader:
    """Reads one line from left to right."""

    def __init__(self, line: str, depth: int) -> None:
        self._line = line
        self._depth = depth
        self._at = 0
        self._found: list[Simple] = []
        self._now = Simple()
        self._scopes = [depth * 1000]
        self._next_scope = depth * 1000
        self._waiting: list[tuple[Simple, str]] = []
        """Here-documents whose text begins on the next line."""

    def commands(self) -> list[Simple]:
        while self._at < len(self._line):
            self._step()
        self._end()
        return self._found

    def _step(self) -> None:
        rest = self._line[self._at :]
        if rest[0] in _SPACE or rest.startswith("\\\n"):
            self._at += 1 + (rest[0] == "\\")
        elif rest[0] == "#":
            self._at += len(rest.partition("\n")[0])
        elif found := _REDIRECT.match(rest):
            self._redirect(found.group())
        elif found := _OPERATOR.match(rest):
            self._operator(found.group())
        elif word := self._word():
            self._now.words.append(word)
        elif not self._now.words:  # an empty word, as in `'' x`
            self._now.words.append("")

    def _operator(self, sign: str) -> None:
        self._at += len(sign)
        before = self._now
        self._end()
        if sign in ("|", "|&"):
            self._now.fed_by = before
        elif sign == "(":
            self._next_scope += 1
            self._scopes.append(self._next_scope)
        elif sign == ")" and len(self._scopes) > 1:
            self._scopes.pop()
        elif sign == "\n":
            self._here_documents()
        self._now.scope = self._scopes[-1]

    def _end(self) -> None:
        if self._now.words or self._now.redirects:
            self._found.append(self._now)
        self._now = Simple(scope=self._scopes[-1])

    def _redirect(self, sign: str) -> None:
        self._at += len(sign)
        operator = sign.lstrip("0123456789")
        while self._line[self._at : self._at + 1] in tuple(_SPACE):
            self._at += 1
        if operator in (">", "<") and self._line[self._at : self._at + 1] == "(":
            return  # a process substitution: what is in the brackets is read as a subshell
        target = self._word()
        if operator == "<<<":
            self._now.body = target
        elif operator.startswith("<<"):
            self._waiting.append((self._now, target))
        else:
            self._now.redirects.append((operator, target))

    def _here_documents(self) -> None:
        for command, end in self._waiting:
            lines: list[str] = []
            while self._at < len(self._line):
                line, newline, _ = self._line[self._at :].partition("\n")
                self._at += len(line) + len(newline)
                if line.strip() == end:
                    break
                lines.append(line)
            command.body = "\n".join(lines)
        self._waiting.clear()

    def _word(self) -> str:
        """Read a word up to what ends it; quotes are taken off."""
        parts: list[str] = []
        while self._at < len(self._line):
            rest = self._line[self._at :]
            if rest[0] in _SPACE or _OPERATOR.match(rest) or rest[0] in "<>":
                break
            parts.append(self._piece(rest))
        return "".join(parts)

    def _piece(self, rest: str) -> str:
        match rest[0]:
            case "'":
                return self._take(rest, rest.find("'", 1), 1).translate(LITERAL)
            case '"':
                return self._double_quoted()
            case "\\":
                self._at += 2
                return rest[1:2].translate(LITERAL).replace("\n", "")
            case "$" if rest[1:2] == "'":
                text = self._take(rest, rest.find("'", 2), 2)
                return _unescaped(text).translate(LITERAL)
            case "$" | "`":
                return self._expansion(rest)
            case letter:
                self._at += 1
                return letter

    def _take(self, rest: str, end: int, start: int) -> str:
        """Step over what ends at *end*, or never; return what is inside."""
        end = len(rest) if end < 0 else end
        self._at += end + 1
        return rest[start:end]

    def _double_quoted(self) -> str:
        self._at += 1
        parts: list[str] = []
        while self._at < len(self._line):
            rest = self._line[self._at :]
            if rest[0] == '"':
                self._at += 1
                break
            if rest[0] == "\\" and rest[1:2] in tuple('$`"\\\n'):
                self._at += 2
                parts.append(rest[1:2].translate(LITERAL))
            elif rest[0] in "$`":
                parts.append(self._expansion(rest))
            else:
                self._at += 1
                parts.append(rest[0].translate(LITERAL))
        return "".join(parts)

    def _expansion(self, rest: str) -> str:
        """Read an expansion as it stands; the commands of a substitution are found as well."""
        if rest.startswith("$("):
            inside = self._take(rest, _closing(rest), 2)
            self._found += self._nested(inside)
            return f"$({inside})"
        if rest[0] == "`":
            inside = self._take(rest, rest.find("`", 1), 1)
            self._found += self._nested(inside)
            return f"$({inside})"
        if rest.startswith("${"):
            return f"${{{self._take(rest, rest.find('}'), 2)}}}"
        self._at += 1
        return "$"

    def _nested(self, inside: str) -> Iterator[Simple]:
        if self._depth < MAX_DEPTH:
            yield from _Reader(inside, self._depth + 1).commands()


def _closing(text: str) -> int:
    """Return where the bracket is that closes the first one; -1 where there is none."""
    depth, quote = 0, ""
    for at, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
            if not depth:
                return at
    return -1


def _unescaped(text: str) -> str:
    r"""Read `\x6c` and `\154`, as in `$'…'`."""
    text = re.sub(r"\\x([0-9a-fA-F]{1,2})", lambda m: chr(int(m[1], 16)), text)
    return re.sub(r"\\([0-7]{1,3})", lambda m: chr(int(m[1], 8) & 0xFF), text)
