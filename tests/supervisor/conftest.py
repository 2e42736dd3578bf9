"""Every test runs on virtual time, and under both orders of trio's scheduler."""

from __future__ import annotations

import inspect
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from .stage import Lane, Stage


class Always(random.Random):
    """Answers every draw with the same number."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self._number = number

    def random(self) -> float:
        return self._number


def _run(
    main: Callable[[], Awaitable[Any]],
    *,
    clock: trio.abc.Clock | None,
    instruments: Sequence[trio.abc.Instrument],
) -> Any:
    clock = clock or MockClock(autojump_threshold=0)
    return trio.run(main, clock=clock, instruments=instruments)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of this folder on virtual time."""
    for item in items:
        is_async = inspect.iscoroutinefunction(getattr(item, "obj", None))
        if is_async and item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.trio(run=_run))


@pytest.fixture(params=[0.0, 0.9], ids=["reversed", "in_order"], autouse=True)
def batch_order(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have trio run each batch of ready tasks always in reverse, or never."""
    monkeypatch.setattr("trio._core._run._r", Always(request.param))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Play each piece on both lanes, if nothing is said against it."""
    if "lane" in metafunc.fixturenames:
        metafunc.parametrize("lane", getattr(metafunc.function, "lanes", ["own", "shared"]))


@pytest.fixture
def stage(lane: Lane) -> Stage:
    """Return a stage with an empty journal."""
    return Stage(lane=lane)
