"""The user's settings for git that a confined command may know: who commits, and how.

The file itself stays closed: some keep tokens in it, its includes lie anywhere in the home, and git
ends where one of them cannot be read.  What is kept of it is written to the attempt's own folder,
where `git config --global` of the command goes as well.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

TIMEOUT_S = 10.0

_NAMES = frozenset(
    {
        "author.email",
        "author.name",
        "committer.email",
        "committer.name",
        "core.autocrlf",
        "core.eol",
        "core.filemode",
        "core.quotepath",
        "core.safecrlf",
        "core.whitespace",
        "diff.algorithm",
        "fetch.prune",
        "init.defaultbranch",
        "merge.conflictstyle",
        "merge.ff",
        "pull.ff",
        "pull.rebase",
        "push.autosetupremote",
        "push.default",
        "user.email",
        "user.name",
    }
)
_SECTIONS = frozenset({"filter", "safe"})
"""Large files, and folders of others.  Nothing of signing: its keys are in the closed home."""
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"})


def git_settings(environ: Mapping[str, str], folder: Path) -> str:
    """Return what is kept, as the text of a file; nothing where there is no git.

    Args:
        environ: says where the user's settings are.
        folder: where to run git: one in which nobody has put a repository.
    """
    command = ["git", "config", "--global", "--includes", "--null", "--list"]
    with suppress(OSError, subprocess.SubprocessError):
        listing = subprocess.run(
            command,
            capture_output=True,
            check=False,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
        ).stdout
        return "".join(_kept(listing.decode("utf-8", "replace")))
    return ""


def _kept(listing: str) -> Iterator[str]:
    for entry in listing.split("\0"):
        key, given, value = entry.partition("\n")
        section, _, name = key.partition(".")
        if key in _NAMES or section in _SECTIONS:
            between, _, name = name.rpartition(".")
            head = f'{section} "{between.translate(_ESCAPES)}"' if between else section
            yield f"[{head}]\n\t{name}" + (f' = "{value.translate(_ESCAPES)}"\n' if given else "\n")
