"""The agents' processes that live on this machine, found from outside by their environment."""

from __future__ import annotations

from pathlib import Path

from mission_control.actors._processes import PULSE_VARIABLE


def workers(home: Path) -> dict[int, str]:
    """Return the processes that work for *home*: pulse by number."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        named = dict(pair.partition(b"=")[::2] for pair in environment)
        status = named.get(b"MISSION_CONTROL_STATUS_FILE", b"").decode()
        if status.startswith(f"{home}/") and state not in "ZX":
            found[int(entry.name)] = named[PULSE_VARIABLE.encode()].decode()
    return found
