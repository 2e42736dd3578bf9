"""What programs get in place of their own things in the user's home, which is closed to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ._git_settings import git_settings

CACHES = {
    "CARGO_HOME": ".cargo",
    "GOPATH": "go",
    "XDG_CACHE_HOME": ".cache",
    "npm_config_cache": ".npm",
}
"""Variables, and where in the home programs look without them."""
GIT = "GIT_CONFIG_GLOBAL"
GIT_RULES = (".config/git/attributes", ".config/git/ignore")
"""Which git reads besides, and ends where it cannot.  They hold no secrets."""


def stand_ins(
    environ: Mapping[str, str], scratch: Path, granted: tuple[Path, ...]
) -> dict[str, str]:
    """Make them in *scratch*, and return the variables that lead to them.

    Args:
        environ: the user's own environment.
        scratch: the attempt's folder for temporary files.
        granted: what the settings open; whose things are among it finds them where they are.
    """
    home = Path(environ.get("HOME") or "/")
    made = {
        name: str(scratch / place)
        for name, place in CACHES.items()
        if not _touches(home / place, granted)
    }
    if not _touches(home / ".gitconfig", granted):
        settings = scratch / ".gitconfig"
        settings.write_text(git_settings(environ, scratch), encoding="utf-8")
        made[GIT] = str(settings)
    return made


def git_rules(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the user's files of patterns for git."""
    home = Path(environ.get("HOME") or "/")
    return tuple(home / name for name in GIT_RULES)


def _touches(place: Path, granted: tuple[Path, ...]) -> bool:
    real = place.resolve()
    return any(real.is_relative_to(each) or each.is_relative_to(real) for each in granted)
