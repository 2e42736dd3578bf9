"""Looks at how local commands would be run: what holds them, and whether they are there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from ..actors import Hold, hold, landlock_abi, profile_of
from ..config import ProcessSettings
from ._finding import Finding, fault, ok, warning


def examine_commands(settings: ProcessSettings) -> Iterator[Finding]:
    """Yield what can be said of agents that are local commands."""
    confinement = settings.confinement()
    yield confined(hold(confinement.mode, landlock_abi()), required=settings.landlock == "required")
    command = settings.words()
    profile = profile_of(command)
    program = (profile.command if profile else (*command, ""))[0]
    if program and shutil.which(program) is None:
        remedy = "install it, or correct process.command and PATH"
        yield warning("command", f"{program} is not found on this PATH", remedy)


def confined(holds: Hold, *, required: bool) -> Finding:
    """Judge what keeps commands in their place."""
    if not holds.confined:
        say = fault if required else warning
        return say("commands", holds.text, "see docs/exec.md: run agents as a user of their own")
    if holds.gaps:
        gaps = "; ".join(holds.gaps)
        remedy = "a newer kernel holds that too: Linux 6.12"
        return warning("commands", f"{holds.text}; they may still {gaps}", remedy)
    return ok("commands", holds.text)
