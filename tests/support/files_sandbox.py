"""A place where attacks on files can do no harm, also those that succeed.

Run as a program it gives up its rights, shuts itself in and calls one function:

    python files_sandbox.py FOLDER MODULE:FUNCTION '{"argument": 1}'

The function is given FOLDER, which of the two kinds of sandbox it is in, and the arguments; what
it returns is printed as JSON.

* "namespaces": an unprivileged user in its own user, mount and network namespace.  Everything is
  read-only but a small file system in memory over FOLDER.
* "user": where no namespaces can be made (some containers): an unprivileged user, with little to
  write and to open.  The product is attacked here too; an insecure jail never is.

Root becomes nobody in both.  Nobody may be unable to read Python's own modules: what a function
needs is imported before, and where that is not enough its module has a `prepare`.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

NAMESPACES, USER = "namespaces", "user"
CHAOS: Final = "FILES_CHAOS" in os.environ
"""Attack for hours, as `make chaos` does, and not for seconds."""
PATIENCE_S: Final = 36_000 if CHAOS else 240
"""For one call: some hundred times what it takes."""

_NOBODY: Final = 65534
_WHOLE_RANGE: Final = ["0", "0", "4294967295"]
_NEW_MOUNTS, _NEW_USER, _NEW_NETWORK = 0x00020000, 0x10000000, 0x40000000
_RECURSIVE, _PRIVATE = 0x4000, 0x40000
_SET_DUMPABLE, _NO_NEW_PRIVILEGES = 4, 38
_MOUNT_SETATTR: Final = 442
_AT_FDCWD, _AT_RECURSIVE, _READ_ONLY = -100, 0x8000, 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def run_in_sandbox(function: str, **arguments: object) -> Any:
    """Call "module:function" of tests/support in a sandbox of its own, and return its answer."""
    with tempfile.TemporaryDirectory(prefix="files-", dir=_open_to_all()) as folder:
        Path(folder).chmod(0o755)
        command = [sys.executable, __file__, folder, function, json.dumps(arguments)]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=PATIENCE_S, cwd="/"
        )
    assert done.returncode == 0, done.stderr[-20_000:]
    return json.loads(done.stdout.splitlines()[-1])


def enter(folder: Path) -> str:
    """Shut this process in with *folder*; returns how.  There is no way back."""
    if _is_root():
        os.chown(folder, _NOBODY, _NOBODY)
        _become_nobody()
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    try:
        _own_namespaces(folder)
    except OSError:
        _little_to_write()
        return USER
    for path in ("/", str(Path.cwd())):
        assert os.statvfs(path).f_flag & os.ST_RDONLY, path
    return NAMESPACES


def mount(source: Path, target: Path) -> None:
    """Show *source* at *target* too; only in namespaces."""
    _call("mount", str(source).encode(), str(target).encode(), None, 0x1000, None)


def mount_memory(target: Path) -> None:
    """Put a new file system at *target*; only in namespaces."""
    _call("mount", b"none", str(target).encode(), b"tmpfs", 0, b"size=1m")


def unmount(target: Path) -> None:
    """Take away what :func:`mount` or :func:`mount_memory` put there."""
    _call("umount2", str(target).encode(), 2)


def _open_to_all() -> str | None:
    """Return a folder for temporary ones that nobody can get into; None for the default."""
    return None if Path(tempfile.gettempdir()).stat().st_mode & 0o001 else "/tmp"


def _is_root() -> bool:
    """Whether this is root of the machine, not of a container of an ordinary user."""
    return os.geteuid() == 0 and Path("/proc/self/uid_map").read_text().split() == _WHOLE_RANGE


def _become_nobody() -> None:
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    # Without it /proc/self is root's after a change of user, and the maps cannot be written.
    _call("prctl", _SET_DUMPABLE, 1, 0, 0, 0)


def _own_namespaces(folder: Path) -> None:
    user, group = os.geteuid(), os.getegid()
    _call("unshare", _NEW_USER | _NEW_MOUNTS | _NEW_NETWORK)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _call("mount", None, b"/", None, _RECURSIVE | _PRIVATE, None)
    read_only = (ctypes.c_uint64 * 4)(_READ_ONLY, 0, 0, 0)
    _call("syscall", _MOUNT_SETATTR, _AT_FDCWD, b"/", _AT_RECURSIVE, read_only, 32)
    _call("mount", b"none", str(folder).encode(), b"tmpfs", 0, b"size=512m,mode=0755")


def _little_to_write() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 20, 64 << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _call(name: str, *arguments: Any) -> None:
    if getattr(_LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def main() -> None:
    folder = Path(sys.argv[1])
    module, name = sys.argv[2].split(":")
    imported = importlib.import_module(module)
    if prepare := getattr(imported, "prepare", None):
        prepare()
    kind = enter(folder)
    answer = getattr(imported, name)(folder, kind, **json.loads(sys.argv[3]))
    sys.stdout.write(f"{json.dumps(answer)}\n")


if __name__ == "__main__":
    main()
