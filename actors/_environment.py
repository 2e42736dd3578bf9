"""What of our own environment the command of an agent gets to see, and what it is told besides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ._processes import PULSE_VARIABLE
from ._runner import PulseOrder

OURS = "MISSION_CONTROL_"
"""Begins the names of our settings, secrets among them: none is passed on, whoever asks for it."""
PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR", "TERM")
"""No secret stands under these names."""


def passed_on(environ: Mapping[str, str], more: Iterable[str]) -> dict[str, str]:
    """Return what of *environ* is passed on: the usual few, and *more* by name."""
    names = [name for name in (*PASSED_ON, *more) if not name.startswith(OURS)]
    return {name: environ[name] for name in names if name in environ}


def told(order: PulseOrder, url: str) -> dict[str, str]:
    """Return what an attempt is told of itself; the token ends with it."""
    return {
        PULSE_VARIABLE: order.pulse_id,
        f"{OURS}URL": url,
        f"{OURS}TOKEN": order.token,
        f"{OURS}AGENT_ID": order.agent_id,
        f"{OURS}PROJECT_ID": order.project_id,
        f"{OURS}TASK_ID": order.task_id or "",
        f"{OURS}ATTEMPT": str(order.attempt),
        f"{OURS}STATUS_FILE": str(order.scope / "agents" / order.soul / "status.md"),
        f"{OURS}PULSE_KIND": order.kind,
        f"{OURS}PROMPT": order.prompt,
    }
