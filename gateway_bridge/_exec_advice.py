"""Advice on command lines: says why one may harm, where it makes links or leaves the project.

Advice, and no boundary: a text cannot tell what a program will do, and whoever wants to hide a link
from it can.  It is for agents that mean well and do not know that links and other folders are not
theirs.  What holds is the sandbox of the Gateway, and Landlock for local commands.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence

import attrs

from ._shell_programs import Program, of_words, programs
from ._shell_words import SHOWN

MAX_WARNINGS = 5

_READABLE = ("/bin", "/dev", "/lib", "/lib64", "/nix", "/opt", "/proc", "/sbin", "/sys", "/usr")
"""Where programs and libraries are: to read there is nobody's harm."""
_SINKS = re.compile(
    r"/dev/(?:null|zero|full|tty|stdin|stdout|stderr|u?random|fd/\d+|(?:tc|ud)p/.*)"
)
_WRITERS = frozenset(
    {
        "chgrp",
        "chmod",
        "chown",
        "cp",
        "dd",
        "install",
        "mkdir",
        "mkfifo",
        "mktemp",
        "mv",
        "rm",
        "rmdir",
        "rsync",
        "scp",
        "shred",
        "tar",
        "tee",
        "touch",
        "truncate",
        "unlink",
        "unzip",
    }
)
_READS_FIRST = frozenset({"cp", "install", "rsync", "scp", "tar", "unzip"})
"""Of the writers, those that change only what their last path names, or an option does."""
_PATTERN_FIRST = frozenset(
    {"ag", "awk", "egrep", "fgrep", "gawk", "grep", "jq", "mawk", "perl", "rg", "sed"}
)
_TEXT_ONLY = frozenset({"echo", "export", "printf", "test", "["})
_ENTERS = frozenset({"cd", "pushd"})

_CODE = {
    "awk": (),
    "bun": ("-e", "--eval"),
    "deno": ("eval",),
    "gawk": (),
    "lua": ("-e",),
    "node": ("-e", "--eval", "-p", "--print"),
    "perl": ("-e", "-E", "-ne", "-pe"),
    "php": ("-r",),
    "python": ("-c",),
    "python2": ("-c",),
    "python3": ("-c",),
    "ruby": ("-e",),
    "tclsh": (),
}
"""Interpreters, and the options that hold their programs."""
_LINKING_CODE = re.compile(
    r"symlink|hardlink_to|link_to\b|\bos\.link\b|linkSync|\bfs\.link\b|File\.link|"
    r"(?<![\w.])link\s*\(|file\s+link|[\"'`/\s(]ln[\"']?(?:\s*,)?\s+[\"']?-?\w",
    re.IGNORECASE,
)

_WHY_LINK = (
    "makes a link. Links are refused by Mission Control's file operations, and one that leads out"
    " of the project is a trap for whoever follows it: copy the file instead"
)
_WHY_OUT = "is outside your project: stay in your working folder"
_WHY_KEPT = "is kept by Mission Control: write in src/ or in your own working.md"
_WHY_MOUNT = "shows one folder in the place of another: what is then written may be elsewhere"


@attrs.frozen
class Place:
    """Where a command runs; absolute paths."""

    project: str
    src: str
    notes: str
    """The agent's `working.md`."""
    cwd: str
    home: str = "/home"
    """What `~` stands for, as far as one can tell."""


def advice(command: str | Sequence[str], place: Place) -> tuple[str, ...]:
    """Return why *command* may harm, in sentences for the model; nothing for the usual command.

    Args:
        command: a line for a shell, or the words of a program that is started without one.
        place: where it would run.
    """
    found = programs(command) if isinstance(command, str) else of_words(list(command))
    said: dict[str, None] = {}  # in order, each once
    where = _Where(place)
    for program in found:
        for warning in _judge(program, where):
            said[warning] = None
    return tuple(said)[:MAX_WARNINGS]


class _Where:
    """The folder that commands are in, as `cd` changes it; each subshell has its own."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._folders: dict[int, str] = {}

    def path(self, text: str, scope: int) -> str | None:
        """Return *text* as an absolute path; None where nobody can tell."""
        home = self.place.home
        text = re.sub(r"^(~|\$HOME\b|\$\{HOME\})(?=/|$)", lambda _: home, text)
        text = re.sub(r"^~\w+", "/home/somebody", text)
        text = re.sub(r"^(\$PWD\b|\$\{PWD\})(?=/|$)", ".", text)
        if "$" in text or "\0" in text:
            return None
        folder = self._folders.get(scope, self._folders.get(0, self.place.cwd))
        return posixpath.normpath(posixpath.join(folder, text.translate(SHOWN)))

    def enter(self, path: str, scope: int) -> None:
        self._folders[scope] = path


def _judge(program: Program, where: _Where) -> Iterator[str]:
    if _links(program):
        yield f"`{program.shown}` {_WHY_LINK}."
    if program.name == "mount" and _positional(program.words):
        yield f"`{program.shown}` {_WHY_MOUNT}."
    scope = program.simple.scope
    for operator, target in program.simple.redirects:
        path = where.path(target, scope)
        if path is not None and ">" in operator and not target.isdigit() and target != "-":
            yield from _writes(target, path, where.place)
        elif path is not None:
            yield from _reads(target, path, where.place)
    if program.name in _ENTERS:
        yield from _enters(program, where)
    elif program.name not in _TEXT_ONLY:
        yield from _named(program, where)


def _enters(program: Program, where: _Where) -> Iterator[str]:
    target = next(iter(_positional(program.words)), "~")
    if target == "-":
        return
    path = where.path(target, program.simple.scope)
    if path is None:
        return
    where.enter(path, program.simple.scope)
    if not _within(path, where.place.project):
        yield f"`{program.shown}` leaves your project: `{target.translate(SHOWN)}` {_WHY_OUT}."


def _named(program: Program, where: _Where) -> Iterator[str]:
    named = list(_paths(program))
    writes = program.name in _WRITERS or _in_place(program)
    for at, (text, is_option) in enumerate(named):
        path = where.path(text, program.simple.scope)
        if path is None:
            continue
        only_read = program.name in _READS_FIRST and not is_option and at < len(named) - 1
        judge = _writes if writes and not only_read else _reads
        yield from judge(text, path, where.place)


def _in_place(program: Program) -> bool:
    return program.name in ("sed", "perl") and any(
        re.match(r"-(i|[a-z]*i$|-in-place)", word) for word in program.words
    )


def _paths(program: Program) -> Iterator[tuple[str, bool]]:
    """Yield the words that name files, and whether an option holds them."""
    skip = program.name in _PATTERN_FIRST
    writes = program.name in _WRITERS
    after_message = False
    for word in program.words:
        if after_message:
            after_message = False
            continue
        after_message = word in ("-m", "--message", "-e", "--regexp", "-c")
        is_option = word.startswith("-")
        text = _value_of(word) if is_option or _KEYED.match(word) else word
        if skip and not is_option:
            skip = False
            continue
        if text and not re.search(r"\s", text) and (_LEADS.match(text) or (writes and text)):
            yield text, is_option


_KEYED = re.compile(r"(?:if|of|dir|path|file)=")
_LEADS = re.compile(r"/|~|\$\{?(?:HOME|PWD)\b|\.\.(?:/|$)|[^:]*/\.\.(?:/|$)")


def _value_of(word: str) -> str:
    """Return what an option holds: `--to=X`, `-oX` where X begins as a path does, or nothing."""
    if "=" in word:
        return word.partition("=")[2]
    found = re.fullmatch(r"-[A-Za-z]((?:/|~|\.\./|\$).*)", word)
    return found[1] if found else ""


def _writes(text: str, path: str, place: Place) -> Iterator[str]:
    if _SINKS.fullmatch(path) or path == place.notes or _within(path, place.src):
        return
    why = _WHY_KEPT if _within(path, place.project) else _WHY_OUT
    yield f"`{text.translate(SHOWN)}` {why}."


def _reads(text: str, path: str, place: Place) -> Iterator[str]:
    if _within(path, place.project) or any(_within(path, each) for each in _READABLE):
        return
    yield f"`{text.translate(SHOWN)}` {_WHY_OUT}."


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _positional(words: Sequence[str]) -> list[str]:
    return [word for word in words if not word.startswith("-") or word == "-"]


def _links(program: Program) -> bool:
    """Whether the program makes links when it is run with these words."""
    words = program.words
    if "--help" in words or "--version" in words:
        return False
    makes = _LINKERS.get(program.name)
    return bool(makes(words)) if makes is not None else _code_links(program)


def _has(words: Sequence[str], letters: str, *long: str) -> bool:
    for word in words:
        if word == "--":
            return False
        short = re.fullmatch(r"-[A-Za-z]+", word) and not set(letters).isdisjoint(word)
        if word in long or short:
            return True
    return False


def _git_links(words: Sequence[str]) -> bool:
    """Whether a clone shares its objects with a folder of this host."""
    named = _positional(words)
    if named[:1] != ["clone"] or len(named) < 2 or "--no-hardlinks" in words:
        return False
    if _has(words, "ls", "--local", "--shared"):
        return True
    return not any(re.match(r"[\w.+-]+://|[\w.-]+(?:@[\w.-]*)?:", word) for word in named[1:])


def _code_links(program: Program) -> bool:
    name = re.sub(r"^(python3)\.\d+$", r"\1", program.name)
    if name == "make":
        return bool(re.search(r"(?:^|\s|;)ln\s+-?\w", program.simple.body))
    if name not in _CODE:
        return False
    options, code = _CODE[name], [program.simple.body]
    before = program.simple.fed_by
    if before is not None and before.words[:1] in (["echo"], ["printf"]):
        code.append(" ".join(before.words[1:]))
    for at, word in enumerate(program.words):
        if not options or word in options:
            code += program.words[at : at + 2]
        code += [word[len(o) :] for o in options if o.startswith("-") and word.startswith(o)]
    return any(_LINKING_CODE.search(text) for text in code)


_LINKERS: dict[str, Callable[[Sequence[str]], object]] = {
    "bun": lambda words: words[:1] == ("link",),
    "cp": lambda words: _has(words, "ls", "--link", "--symbolic-link"),
    "cpio": lambda words: _has(words, "l", "--link"),
    "fsutil": lambda words: words[:1] == ("hardlink",),
    "git": _git_links,
    "hardlink": _positional,
    "link": _positional,
    "ln": _positional,
    "mklink": _positional,
    "npm": lambda words: words[:1] in (("link",), ("ln",)),
    "pax": lambda words: _has(words, "l", "--link"),
    "pnpm": lambda words: words[:1] in (("link",), ("ln",)),
    "rsync": lambda words: any(word.startswith("--link-dest") for word in words),
    "stow": _positional,
    "yarn": lambda words: words[:1] == ("link",),
}
"""Whether a program makes links with these words, as a truth value."""
