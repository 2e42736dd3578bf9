"""Which program a simple command runs in the end, whatever it is wrapped in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import attrs

from ._shell_words import MAX_CHARS, SHOWN, Simple, simple_commands

MAX_NESTING = 8
"""Of shells in shells."""
MAX_MADE = 4 * MAX_CHARS
"""Characters that a line may make of itself: a few of them can double each other without end."""

_RESERVED = frozenset({"!", "do", "elif", "else", "if", "then", "time", "until", "while", "{"})
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_FINDS_PROGRAM = re.compile(r"\$\(\s*(?:which|command -v|type -p)\s+(\S+)\s*\)")

SHELLS = frozenset({"ash", "bash", "dash", "ksh", "mksh", "sh", "zsh"})

_WRAPPERS = {
    "builtin": 0,
    "busybox": 0,
    "chrt": 1,
    "command": 0,
    "doas": 0,
    "env": 0,
    "exec": 0,
    "flock": 1,
    "ionice": 0,
    "nice": 0,
    "nohup": 0,
    "setsid": 0,
    "stdbuf": 0,
    "strace": 0,
    "sudo": 0,
    "taskset": 1,
    "time": 0,
    "timeout": 1,
    "toybox": 0,
    "unbuffer": 0,
    "unshare": 0,
    "xargs": 0,
}
"""Programs that run another one, and how many words of their own come before it."""
_WITH_VALUE = {
    "chrt": "pTPD",
    "doas": "Cu",
    "env": "uC",
    "flock": "wE",
    "ionice": "cnp",
    "nice": "n",
    "parallel": "jIN",
    "stdbuf": "ioe",
    "strace": "eopsu",
    "sudo": "CghpRrTtUu",
    "timeout": "ks",
    "watch": "n",
    "xargs": "IELPadns",
}
"""Letters of the options that take the next word."""


@attrs.frozen
class Program:
    """A program and its words, as it would be started."""

    name: str
    """Without folders."""
    words: tuple[str, ...]
    simple: Simple

    @property
    def shown(self) -> str:
        """As it was written, more or less, in at most sixty characters."""
        text = " ".join((self.name, *self.words)).translate(SHOWN)
        return text if len(text) <= 60 else f"{text[:57]}..."


def programs(line: str) -> Iterator[Program]:
    """Yield what *line* runs; what shells are given is read as well."""
    yield from _Reader().programs(line, 0)


def of_words(words: list[str]) -> Iterator[Program]:
    """Yield what an argument vector runs, which no shell has looked at."""
    room = MAX_CHARS
    within: list[str] = []
    for word in words:
        room -= len(word) + 1
        if room < 0:
            break
        within.append(word)
    yield from _Reader().unwrapped(within, Simple(within), 0)


class _Reader:
    """Reads one line, and all that it makes of itself."""

    def __init__(self) -> None:
        self._left = MAX_MADE

    def takes(self, made: str) -> bool:
        """Whether *made* is looked at as well; then there is so much less to come."""
        fits = len(made) <= self._left
        self._left -= len(made) if fits else 0
        return fits

    def programs(self, line: str, depth: int) -> Iterator[Program]:
        variables = _Variables(self)
        for simple in simple_commands(line):
            yield from self.unwrapped(_expanded(simple, variables), simple, depth)

    def unwrapped(self, words: list[str], simple: Simple, depth: int) -> Iterator[Program]:
        if not words or depth > MAX_NESTING:
            return
        name = PurePosixPath(words[0]).name
        yield Program(name, tuple(words[1:]), simple)
        scripts = [script for script in _scripts(name, words[1:], simple) if script]
        for script in filter(self.takes, scripts):
            yield from self.programs(script, depth + 1)
        # Never both: what is nested would be looked at twice at each of its levels.
        for inner in () if scripts else _inside(name, words[1:]):
            yield from self.unwrapped(inner, simple, depth + 1)


class _Variables:
    """What the line itself has set."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self._values: dict[str, str] = {}

    def assign(self, name: str, text: str) -> None:
        self._values[name] = self.put_in(text)

    def put_in(self, word: str) -> str:
        return _VARIABLE.sub(self._value, word)

    def _value(self, found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name == "IFS":
            return "\0"
        value = self._values.get(name)
        return value if value is not None and self._reader.takes(value) else found[0]


def _expanded(simple: Simple, variables: _Variables) -> list[str]:
    """Leave out what stands before the command; put in the variables that the line itself set."""
    words = list(simple.words)
    while words and (words[0] in _RESERVED or _ASSIGNMENT.fullmatch(words[0])):
        if found := _ASSIGNMENT.fullmatch(words[0]):
            variables.assign(found[1], found[2])
        del words[0]
    found_words = [variables.put_in(_FINDS_PROGRAM.sub(r"\1", word)) for word in words]
    # Only the shell's own splitting is of interest, and that is done to make one word many.
    return [part for word in found_words for part in _split(word)]


def _split(word: str) -> list[str]:
    return [part for part in word.split("\0") if part] if "\0" in word else [word]


def _inside(name: str, words: list[str]) -> Iterator[list[str]]:
    """Yield the commands that a wrapper runs."""
    if name == "find":
        yield from _executed(words)
    elif name in _WRAPPERS:
        yield _after_options(words, _WITH_VALUE.get(name, ""))[_WRAPPERS[name] :]


def _executed(words: list[str]) -> Iterator[list[str]]:
    """Yield the commands that `find` runs."""
    inside: list[str] | None = None
    for word in words:
        if inside is None:
            inside = [] if word in ("-exec", "-execdir", "-ok", "-okdir") else None
        elif word in (";", "+"):
            yield inside
            inside = None
        else:
            inside.append(word)
    if inside:
        yield inside


def _after_options(words: list[str], with_value: str) -> list[str]:
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            return words[at + 1 :]
        if word.startswith("-") and len(word) > 1:
            at += 2 if not word.startswith("--") and word[-1] in with_value else 1
        elif _ASSIGNMENT.fullmatch(word):
            at += 1
        else:
            break
    return words[at:]


def _scripts(name: str, words: list[str], simple: Simple) -> Iterator[str]:
    """Yield the shell scripts that a program is given in words, by a pipe or in a document."""
    if name == "eval":
        yield " ".join(words)
    elif name == "env" and (split := _value(words, "-S", "--split-string")):
        yield split
    elif name in ("su", "script", "flock") and (given := _value(words, "-c", "--command")):
        yield given
    elif name in ("watch", "parallel"):
        yield " ".join(_after_options(words, _WITH_VALUE[name]))
    elif name == "trap" and words:
        yield words[0]
    elif name in SHELLS:
        yield from _of_shell(words, simple)


def _of_shell(words: list[str], simple: Simple) -> Iterator[str]:
    for at, word in enumerate(words[:-1]):
        if "c" in word and re.fullmatch(r"[-+][a-zA-Z]+", word):
            yield words[at + 1]
            return
    yield simple.body
    before = simple.fed_by
    if before is not None and before.words and before.words[0] in ("echo", "printf"):
        yield " ".join(before.words[1:]).replace("\\n", "\n")
    elif before is not None:
        yield before.body


def _value(words: list[str], *names: str) -> str:
    for at, word in enumerate(words):
        if word in names and at + 1 < len(words):
            return words[at + 1]
        for name in names:
            if word.startswith(f"{name}="):
                return word.partition("=")[2]
    return ""
