"""The benchmarks run, and say what they promise; how fast anything is, is not tested."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

RUNTIME = Path(__file__).parents[1] / "benchmarks" / "runtime.py"
KEYS = {
    "tell", "send", "ask", "ask_timeout", "asks_100", "fan_in", "ring_1", "ring_1000",
    "spawn", "restart", "idle_bytes", "stop_backlog_ms", "timer_ms",
    "sync_ring", "sync_ask", "sync_bytes",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(180)  # 25 s on an idle machine
def test_the_runtime_benchmark_ends_with_one_line_of_json() -> None:
    command = [sys.executable, str(RUNTIME), "--quick", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    assert set(result) == KEYS
    assert all(math.isfinite(value) and value > 0 for value in result.values()), result
