"""The benchmarks run, and say what they promise; how fast anything is, is not tested.

Not that of the bridge, which starts a Gateway twice: `make bench` runs it.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
KEYS = {
    "agents": {
        "start_s", "idle_bytes", "idle_cpu", "wake_ms", "parallel", "false_kills", "missed",
    },
    "files": {"read_ratio", "write_ratio", "locks_per_s"},
    "runtime": {
        "tell", "send", "ask", "ask_timeout", "asks_100", "fan_in", "ring_1", "ring_1000",
        "spawn", "restart", "idle_bytes", "stop_backlog_ms", "timer_ms",
        "sync_ring", "sync_ask", "sync_bytes",
    },
    "storage": {"vs_single", "vs_bare", "p99_ms", "board_ms", "backup_p99_ms", "stream_ms"},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", KEYS)
def test_a_benchmark_ends_with_one_line_of_json(name: str) -> None:
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), "--smoke", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    assert set(result) == KEYS[name]
    assert all(math.isfinite(value) and value >= 0 for value in result.values()), result
    # Nobody is killed or missed; and where the machine stalls, nobody keeps all of its times.
    assert sum(value == 0 for value in result.values()) <= (3 if name == "agents" else 0)
