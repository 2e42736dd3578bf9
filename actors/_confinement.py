"""What the command of an agent may do with which files: the policy, without a look at the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from pathlib import Path

import attrs

from ._landlock import Right, not_held

READ = Right.EXECUTE | Right.READ_FILE | Right.READ_DIR
CHANGE = (
    READ
    | Right.WRITE_FILE
    | Right.TRUNCATE
    | Right.MAKE_DIR
    | Right.MAKE_REG
    | Right.REMOVE_DIR
    | Right.REMOVE_FILE
)
"""Write, make and remove files and folders, but no links and nothing that is no file."""
MOVE = Right.REFER
"""To rename from one folder to another, as `git mv` does.  It makes no way out: the kernel refuses
to move or link a file to where more may be done with it."""
LINK = Right.MAKE_SYM
SCRATCH = CHANGE | MOVE | LINK | Right.MAKE_SOCK | Right.MAKE_FIFO
"""In a folder that nobody but the attempt looks into, and that ends with it."""
NOTES = Right.READ_FILE | Right.WRITE_FILE | Right.TRUNCATE
DEVICE = NOTES | Right.READ_DIR | Right.IOCTL_DEV
OBJECTS = NOTES | Right.MAKE_REG | Right.REMOVE_FILE
"""Of shared memory.  Not READ_DIR: those of others have names that cannot be guessed."""
ALL_PROJECTS = "*"

SYSTEM = tuple(
    map(
        Path,
        (
            "/bin",
            "/etc",
            "/gnu/store",
            "/lib",
            "/lib32",
            "/lib64",
            "/libx32",
            "/nix/store",
            "/opt",
            "/proc",
            "/run/current-system",
            "/run/resolvconf",
            "/run/systemd/resolve",
            "/sbin",
            "/sys",
            "/usr",
            "/var/lib/ca-certificates",
        ),
    )
)
"""Where programs, their libraries, the names of hosts and the certificates are."""
DEV = Path("/dev")
DEVICES = tuple(DEV / name for name in ("full", "null", "ptmx", "random", "tty", "urandom", "zero"))
"""Not `pts`: its files are the user's terminals, and what is typed there."""
SHARED_MEMORY = DEV / "shm"
"""Without it Python has no locks, queues or pools between processes, and browsers do not start."""


class LandlockMode(Enum):
    """Whether commands are confined."""

    AUTO = "auto"
    """Where the kernel can."""
    OFF = "off"
    REQUIRED = "required"
    """Nothing is started where the kernel cannot."""


@attrs.frozen
class Confinement:
    """What the settings say of it.  A `~` in a path is the user's home."""

    mode: LandlockMode = LandlockMode.AUTO
    read: tuple[str, ...] = ()
    """More that commands may read and execute."""
    write: tuple[str, ...] = ()
    """More that commands may change."""
    links: tuple[str, ...] = ()
    """Projects in whose `src/` links may be made; `*` for all."""

    def allows_links(self, project_id: str) -> bool:
        """Whether commands may make links in this project."""
        return project_id in self.links or ALL_PROJECTS in self.links


@attrs.frozen
class Hold:
    """What keeps commands in their place on this machine."""

    version: int
    """Of Landlock; 0 where they are not confined."""
    text: str
    """One sentence for people."""
    gaps: tuple[str, ...] = ()
    """What commands may do all the same, because the kernel is older than that."""

    @property
    def confined(self) -> bool:
        """Whether commands are confined at all."""
        return self.version > 0


def hold(mode: LandlockMode, version: int) -> Hold:
    """Say how commands are kept, with *mode* in the settings and *version* in the kernel."""
    if mode is LandlockMode.OFF:
        return Hold(0, f"{_LOOSE}: process.landlock is off")
    if not version:
        return Hold(0, f"{_LOOSE}: this system has no Landlock (Linux 5.13 or later, switched on)")
    text = f"agents' commands are held inside their projects by Landlock, version {version}"
    return Hold(version, text, not_held(version))


_LOOSE = "agents' commands may write wherever this user may"


@attrs.frozen
class Grant:
    """Rights on a path and all beneath it."""

    path: Path
    rights: Right
    may_be_link: bool = True


@attrs.frozen
class Bounds:
    """The places of one attempt."""

    scope: Path
    """The project: read."""
    src: Path
    """In it: changed."""
    notes: Path
    """The agent's `working.md`: written in place."""
    scratch: Path
    """The attempt's own folder for temporary files."""
    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    links: bool = False
    system: tuple[Path, ...] = SYSTEM
    private: tuple[Path, ...] = ()
    """Folders of which nothing is granted but what is named above.  Like those of `read`, `write`
    and `system` they are given without links on the way, or one would lead round this."""
    secrets: tuple[Path, ...] = ()
    """What of the project is for administrators only.  Where there is such a thing the project's
    other entries are granted one by one, as they are now."""

    def grants(self, listing: Callable[[Path], Iterable[Path]]) -> Iterator[Grant]:
        """Yield all that the command is granted.

        Args:
            listing: what lies in a folder; asked only of those that hold a private one.
        """
        for path in (*self.system, *self.read):
            yield from _beside(self.private, Grant(path, READ), listing)
        for path in self.write:
            yield from _beside(self.private, Grant(path, _changing(path)), listing)
        for path in DEVICES:
            yield Grant(path, DEVICE)
        yield from _beside(self.private, Grant(SHARED_MEMORY, OBJECTS), listing)
        yield from _beside(self.secrets, Grant(self.scope, READ, may_be_link=False), listing)
        rights = CHANGE | MOVE | (LINK if self.links else Right(0))
        yield Grant(self.src, rights, may_be_link=False)
        yield Grant(self.scratch, SCRATCH, may_be_link=False)
        yield Grant(self.notes, NOTES, may_be_link=False)


def _changing(path: Path) -> Right:
    return DEVICE if path.is_relative_to(DEV) else CHANGE | MOVE | LINK


def _beside(
    spared: tuple[Path, ...], grant: Grant, listing: Callable[[Path], Iterable[Path]]
) -> Iterator[Grant]:
    """Rules only ever add: to spare a folder, everything beside it is granted instead."""
    if any(grant.path.is_relative_to(each) for each in spared):
        return
    if not any(each.is_relative_to(grant.path) for each in spared):
        yield grant
        return
    for path in listing(grant.path):
        yield from _beside(spared, attrs.evolve(grant, path=path), listing)
