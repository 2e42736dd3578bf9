"""Calls that the Gateway limits wait on our side, instead of being refused."""

from __future__ import annotations

import pytest

from mission_control.gateway_bridge._quota import (
    CONTROL_PLANE_CALLS,
    ControlPlaneQuota,
    deadline_of,
)


def test_ordinary_methods_never_wait() -> None:
    quota = ControlPlaneQuota()
    assert all(quota.reserve("agent", 0.0) == 0 for _ in range(1000))


def test_a_limited_method_waits_until_its_window_has_moved_on() -> None:
    quota = ControlPlaneQuota()
    assert all(quota.reserve("config.patch", float(n)) == 0 for n in range(CONTROL_PLANE_CALLS))
    assert quota.reserve("config.patch", 30.0) == pytest.approx(30.0)
    assert quota.reserve("config.patch", 30.0) == pytest.approx(31.0)
    assert quota.reserve("config.patch", 1000.0) == 0


def test_those_that_wait_are_counted_where_they_will_be_sent() -> None:
    quota = ControlPlaneQuota()
    waits = [quota.reserve("config.patch", 0.0) for _ in range(3 * CONTROL_PLANE_CALLS)]
    assert waits == [0.0] * 30 + [60.0] * 30 + [120.0] * 30


def test_each_method_has_a_window_of_its_own() -> None:
    quota = ControlPlaneQuota()
    for _ in range(CONTROL_PLANE_CALLS):
        quota.reserve("config.patch", 0.0)
    assert quota.reserve("cron.add", 0.0) == 0


def test_slow_methods_are_given_more_time() -> None:
    assert deadline_of("sessions.create") > deadline_of("sessions.abort") > deadline_of("health")
