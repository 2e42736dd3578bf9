"""Resident memory of idle actors, in a process of their own: `_memory.py COUNT [shared]`."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import trio

from _actors import SHARED, Echo, quiet_system
from mission_control.supervisor import ChildSpec, DynamicSupervisor


def idle_bytes(count: int, *, shared: bool = False) -> float:
    """Bytes for each of *count* idle supervised actors, measured in a child process."""
    command = [sys.executable, __file__, str(count), *(["shared"] if shared else [])]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


async def _measure(count: int, options: dict[str, Any]) -> float:
    async with quiet_system() as system:
        template = ChildSpec("echo", Echo, **options)
        spec = DynamicSupervisor.spec("echoes", template=template)
        echoes = await system.root.start_child(spec)
        await echoes.start_child()  # what is made once, is made before
        before = _resident()
        for _ in range(count):
            await echoes.start_child()
        return (_resident() - before) / count


def _resident() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    print(trio.run(_measure, int(sys.argv[1]), SHARED if "shared" in sys.argv else {}))
