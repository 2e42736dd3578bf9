"""The folders that a case of the corpus plays in, and what it finds there."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs

from files_sandbox import mount, mount_memory, unmount

MARK: Final = "canary-7f3a"
"""In everything that lies outside of the project."""


@attrs.frozen
class Stage:
    """The folders of one case; its names are those of the corpus."""

    base: Path

    @property
    def jail(self) -> Path:
        return self.base / "root" / "projects" / "alpha"

    @property
    def outside(self) -> Path:
        return self.base / "outside"

    def build(self) -> None:
        files = {
            self.jail / "KANBAN.md": "service owned",
            self.jail / "CHRONICLE.md": "service owned",
            self.jail / "notes.txt": "hello",
            self.jail / "dir" / "inner.txt": "inner",
            self.jail / "src" / "notes.txt": "hello",
            self.jail / "src" / "dir" / "inner.txt": "inner",
            self.jail.with_name("alpha-evil") / "secret.txt": MARK,
            self.jail.with_name("beta") / "secret.txt": MARK,
            self.outside / "secret.txt": MARK,
            self.outside / "victim.txt": "victim",
            self.outside / "dir" / "f.txt": MARK,
            self.outside / "dir" / "canary_entry": MARK,
        }
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.jail.with_name(".staging").mkdir(mode=0o700)

    def fill(self, text: str) -> str:
        """Replace the corpus's words; its {OUTABS} is the folder outside."""
        out = str(self.outside)
        for word, meaning in {
            "{OUTABS}": out,
            "{OUT}": out,
            "{JAILNAME}": "alpha",
            "{JAIL}": str(self.jail),
            "{BASE}": str(self.base),
        }.items():
            text = text.replace(word, meaning)
        return text

    def snapshot(self) -> dict[str, tuple[int, int, bytes]]:
        """Everything outside the jail: modes, links, bytes."""
        seen = {}
        for top, folders, names in os.walk(self.base):
            if Path(top) == self.jail.parent:
                folders.remove("alpha")
            for name in (*folders, *names):
                path = Path(top) / name
                found = path.lstat()
                data = path.read_bytes() if stat.S_ISREG(found.st_mode) else b""
                seen[str(path)] = (found.st_mode, 0, data)
        return seen

    def remove(self) -> None:
        """Take everything away, mounts first."""
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            where = Path(line.split()[4])
            if where.is_relative_to(self.base):
                unmount(where)
        shutil.rmtree(self.base)


@attrs.frozen
class SetUp:
    """Does the steps of a case's `setup`, with ordinary calls, in *home*."""

    stage: Stage
    home: Path

    def __call__(self, step: dict[str, Any]) -> None:
        (what, name), *_ = step.items()
        method: Callable[..., None] = getattr(self, f"_make_{what}")
        rest = {key: value for key, value in step.items() if key != what}
        method(self.home / name, **{"source" if k == "from" else k: v for k, v in rest.items()})

    def _make_dir(self, path: Path) -> None:
        path.mkdir(parents=True)

    def _make_file(self, path: Path, text: str) -> None:
        path.write_text(text)

    def _make_link(self, path: Path, to: str) -> None:
        # In src/ everything is one level deeper.
        deeper = "../" if self.home != self.stage.jail and to.startswith("../") else ""
        path.symlink_to(deeper + self.stage.fill(to))

    def _make_hard(self, path: Path, to: str) -> None:
        inside = self.home / to
        path.hardlink_to(inside if inside.exists() else self.stage.jail / self.stage.fill(to))

    def _make_fifo(self, path: Path) -> None:
        os.mkfifo(path)

    def _make_sock(self, path: Path) -> None:
        # Bound by its short name: the whole path is too long for a socket's.
        with _in_folder(path.parent), socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)

    def _make_dev(self, path: Path, **_: object) -> None:
        # The one device that anybody may make; its numbers make no difference to us.
        try:
            os.mknod(path, stat.S_IFCHR | 0o600, 0)
        except OSError:  # nobody may here: a pipe is refused for the same reason
            os.mkfifo(path)

    def _make_sparse(self, path: Path, size: int) -> None:
        with path.open("wb") as file:
            file.truncate(size)

    def _make_many(self, path: Path, n: int) -> None:
        path.mkdir(exist_ok=True)
        for number in range(n):
            (path / f"f{number}").touch()

    def _make_rm(self, path: Path) -> None:
        path.unlink()

    def _make_bind(self, path: Path, source: str) -> None:
        path.mkdir()
        mount(Path(self.stage.fill(source)), path)

    def _make_bindfile(self, path: Path, source: str) -> None:
        path.touch()
        mount(Path(self.stage.fill(source)), path)

    def _make_tmpfs(self, path: Path) -> None:
        path.mkdir()
        mount_memory(path)
        (path / "x").write_text(MARK)


@contextmanager
def _in_folder(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
