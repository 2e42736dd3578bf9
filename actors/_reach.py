"""What a command has to be able to read to run at all: its program, interpreters, libraries."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ._confinement import SYSTEM

MAX_LINKS = 40
"""As the kernel's own limit."""
SHEBANG_BYTES = 256

_GRANTED = tuple(f"{path}/" for path in SYSTEM)
_BESIDE = (
    "include",
    "lib",
    "lib64",
    "libexec",
    "pyvenv.cfg",
    "share/pipx/venvs",
    "share/uv/python",
    "share/uv/tools",
)
"""What belongs to the programs in a folder `bin` beside it.  Not all of `share`: it has keys."""


def reach(command: Sequence[str], environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return what *command* has to read beside the system's own folders.

    These are its program with the links and interpreters on the way, the folders of the search
    path, and what its words name; and this program itself, for agents use its command line.  The
    user's home, and what holds it, is never among them, by whatever name; nor is what a word names
    in the home's hidden folders, where keys are kept.
    """
    home = _real(Path(environ.get("HOME") or "/"))
    search = environ.get("PATH", "")
    found: dict[Path, None] = {}  # in order, each once
    for path in (
        *ourselves(),
        *(beside for folder in search.split(":") for beside in installation(Path(folder))),
        *program(command[0], search),
        *(Path(word) for word in command[1:] if word.startswith("/") and not _hidden(word, home)),
    ):
        granted = str(path).startswith(_GRANTED) or not path.is_absolute()
        if granted or path in found or not path.exists():
            continue
        if not home.is_relative_to(_real(path)):
            found[path] = None
    return tuple(found)


def _hidden(word: str, home: Path) -> bool:
    real = _real(Path(word))
    return real.is_relative_to(home) and str(real.relative_to(home)).startswith(".")


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # `Path.resolve` has no word for endless links but an error


@functools.cache
def ourselves() -> tuple[Path, ...]:
    """Return where this interpreter and our own package are."""
    package = sys.modules[__package__.partition(".")[0]]
    # The parts may lie elsewhere: in an editable installation they are links.
    folders = {
        part.resolve()
        for folder in map(Path, package.__path__)
        for part in (folder, *folder.iterdir())
        if part.is_dir()
    }
    within = {folder for folder in folders if folders.isdisjoint(folder.parents)}
    return (Path(sys.prefix), Path(sys.base_prefix), *sorted(within))


def installation(folder: Path) -> Iterator[Path]:
    """Yield a folder of programs, and what their installation keeps beside it."""
    yield folder
    if folder.name == "shims":  # of pyenv, asdf or mise, which have everything beside them
        yield folder.parent
    if folder.parts[-2:] == (".cargo", "bin"):
        yield folder.parent.with_name(".rustup")
    if folder.name in ("bin", "sbin"):
        yield from (folder.parent / name for name in _BESIDE)


def program(name: str, search: str) -> Iterator[Path]:
    """Yield where a program is, along its links, and where its interpreters are."""
    for _ in range(MAX_LINKS):
        found = shutil.which(name, path=search)
        if found is None:
            return
        yield from _along(Path(found).absolute())
        name = interpreter(_head(Path(found)))
        if not name:
            return


def _along(path: Path) -> Iterator[Path]:
    for _ in range(MAX_LINKS):
        yield from installation(path.parent)
        if not path.is_symlink():
            return
        path = path.parent / path.readlink()
    # Of an endless chain nothing is needed: it cannot be run.


def interpreter(head: bytes) -> str:
    """Return the program that a script's first line asks for; nothing for another file."""
    if not head.startswith(b"#!"):
        return ""
    words = head[2:].partition(b"\n")[0].decode("utf-8", "replace").split()
    if words and Path(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return words[0] if words else ""


def _head(path: Path) -> bytes:
    with suppress(OSError), path.open("rb") as file:
        return file.read(SHEBANG_BYTES)
    return b""
