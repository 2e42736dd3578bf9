"""Questions of other threads, and how the answer gets back to each kind of asker."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, final

from outcome import Outcome

from ._errors import AskTimeout

if TYPE_CHECKING:
    from ._ref import Ref


class Question(ABC):
    """One question; settled at most once, by trio's thread."""

    __slots__ = ("abandoned", "message", "ref", "settled")

    def __init__(self, ref: Ref[Any], message: object) -> None:
        self.ref = ref
        self.message = message
        self.settled = False
        self.abandoned = False
        """The asker has gone."""

    @final
    def settle(self, answer: Outcome[Any]) -> None:
        """Hand *answer* to the asker."""
        self.settled = True
        self._hand_over(answer)

    @abstractmethod
    def _hand_over(self, answer: Outcome[Any]) -> None: ...

    def _late(self) -> AskTimeout:
        return AskTimeout(f"{self.ref.path}: no answer in time")


@final
class ThreadQuestion(Question):
    """Its asker blocks."""

    __slots__ = ("_answer", "_answered")

    def __init__(self, ref: Ref[Any], message: object) -> None:
        super().__init__(ref, message)
        self._answer: Outcome[Any] | None = None
        self._answered = threading.Lock()
        self._answered.acquire()  # released by the answer

    def wait(self, timeout: float | None) -> Any:
        """Block until it is settled.

        Raises:
            AskTimeout: it was not, for *timeout* seconds.
        """
        limit = threading.TIMEOUT_MAX if timeout is None else timeout
        self._answered.acquire(timeout=min(max(limit, 0.0), threading.TIMEOUT_MAX))
        answer, self._answer = self._answer, None
        if answer is None:
            raise self._late()
        return answer.unwrap()

    def _hand_over(self, answer: Outcome[Any]) -> None:
        self._answer = answer
        self._answered.release()


@final
class AsyncioQuestion(Question):
    """Its asker is a task of asyncio."""

    __slots__ = ("_future", "_loop")

    def __init__(self, ref: Ref[Any], message: object, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(ref, message)
        self._loop = loop
        self._future: asyncio.Future[Outcome[Any]] = loop.create_future()

    async def wait(self, timeout: float | None) -> Any:  # noqa: ASYNC109 - this is asyncio
        """Wait until it is settled.

        Raises:
            AskTimeout: it was not, for *timeout* seconds.
        """
        await asyncio.wait([self._future], timeout=timeout)
        if not self._future.done():
            raise self._late()
        return self._future.result().unwrap()

    def _hand_over(self, answer: Outcome[Any]) -> None:
        with suppress(RuntimeError):  # a closed loop has no tasks that wait
            self._loop.call_soon_threadsafe(self._future.set_result, answer)
