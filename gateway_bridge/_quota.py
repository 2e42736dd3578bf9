"""Limits that the Gateway sets, kept on our side: a call that would be refused waits instead."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import attrs

CONTROL_PLANE_CALLS = 30
CONTROL_PLANE_PERIOD_S = 60.0

CONTROL_PLANE = frozenset(
    {
        "config.apply",
        "config.patch",
        "cron.add",
        "cron.remove",
        "cron.run",
        "cron.update",
        "gateway.restart.request",
        "gateway.suspend.prepare",
        "plugins.install",
        "plugins.refresh",
        "plugins.reload",
        "plugins.setEnabled",
        "plugins.uninstall",
    }
)
"""Methods that OpenClaw 2026.9.6 limits to 30 calls in 60 s, each by itself."""

CALL_TIMEOUT_S = 30.0
_TIMEOUTS_S: Mapping[str, float] = {
    # These take seconds while the Gateway warms up.
    "agent.wait": 60.0,
    "chat.history": 60.0,
    "sessions.create": 60.0,
    "sessions.reset": 60.0,
    "tasks.list": 60.0,
    # These answer from memory.
    "health": 10.0,
    "system.info": 10.0,
}


def deadline_of(method: str) -> float:
    """Return how many seconds a call of *method* may take."""
    return _TIMEOUTS_S.get(method, CALL_TIMEOUT_S)


@attrs.define
class ControlPlaneQuota:
    """A sliding window for each limited method."""

    _calls: dict[str, deque[float]] = attrs.field(factory=dict, init=False)

    def reserve(self, method: str, now: float) -> float:
        """Return how many seconds *method* has to wait, and count it as called then."""
        if method not in CONTROL_PLANE:
            return 0.0
        calls = self._calls.setdefault(method, deque(maxlen=CONTROL_PLANE_CALLS))
        full = len(calls) == CONTROL_PLANE_CALLS
        at = max(now, calls[0] + CONTROL_PLANE_PERIOD_S) if full else now
        calls.append(at)
        return at - now
