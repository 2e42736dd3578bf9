"""For the record: the same work done by pykka's actors, which are threads.

Importing this needs pykka.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from time import process_time
from typing import Any, Final

import pykka  # type: ignore[import-not-found, unused-ignore]

from _workloads import ASKERS

FEW = 200
"""Threads, where the others start 10,000 tasks."""
MOST_ASKS = 1_000


class Sink(pykka.ThreadingActor):  # type: ignore[misc, unused-ignore]
    """Counts messages."""

    def __init__(self, left: int, done: threading.Event) -> None:
        super().__init__()
        self._left = left
        self._done = done

    def on_receive(self, message: Any) -> Any:  # noqa: ARG002 - only counted
        self._left -= 1
        if not self._left:
            self._done.set()


class Echo(pykka.ThreadingActor):  # type: ignore[misc, unused-ignore]
    """Answers with the question."""

    def on_receive(self, message: Any) -> Any:
        return message


def tell(count: int) -> float:
    return _tell(count, tellers=1)


def fan_in(count: int) -> float:
    return _tell(count, tellers=ASKERS)


def _tell(count: int, tellers: int) -> float:
    done = threading.Event()
    sink = Sink.start(count // tellers * tellers, done)
    started = process_time()
    _in_threads(tellers, _tell_repeatedly, sink, count // tellers)
    done.wait()
    spent = process_time() - started
    sink.stop()
    return spent / count


def _tell_repeatedly(sink: Any, count: int) -> None:
    for number in range(count):
        sink.tell(number)


def ask(count: int) -> float:
    return _ask(count, askers=1)


def asks_100(count: int) -> float:
    return _ask(count, askers=ASKERS)


def _ask(count: int, askers: int) -> float:
    count = min(count, MOST_ASKS)
    echo = Echo.start()
    started = process_time()
    _in_threads(askers, _ask_repeatedly, echo, count // askers)
    spent = process_time() - started
    echo.stop()
    return spent / count


def _ask_repeatedly(echo: Any, count: int) -> None:
    for number in range(count):
        echo.ask(number)


def _in_threads(number: int, function: Callable[[Any, int], None], ref: Any, count: int) -> None:
    threads = [threading.Thread(target=function, args=(ref, count)) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def spawn(count: int) -> float:
    count = min(count, FEW)
    started = process_time()
    for echo in [Echo.start() for _ in range(count)]:
        echo.stop()
    return (process_time() - started) / count


WORKLOADS: Final[Mapping[str, Callable[[int], float]]] = {
    "tell": tell,
    "ask": ask,
    "asks_100": asks_100,
    "fan_in": fan_in,
    "spawn": spawn,
}
