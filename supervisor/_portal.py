"""The way into a system for other threads: plain ones, and those that run asyncio.

What crosses waits in one queue, and as long as it is not empty nobody wakes the loop again.  In
the loop a question is put straight into the mailbox, so what one thread sends arrives in its
order.  The answer goes to a parked task of ours, which hands it to the thread through a lock:
that is cheaper than `trio.from_thread.run`, which needs a new task for every call.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, TypeVar, final

import trio
from outcome import Error, Outcome, Value
from trio.lowlevel import (
    Abort,
    current_task,
    current_trio_token,
    enable_ki_protection,
    in_trio_task,
    wait_task_rescheduled,
)

from ._deferred import Deferred
from ._errors import ActorDead, MailboxFull
from ._questions import AsyncioQuestion, Question, ThreadQuestion
from ._ref import Ref
from ._system import System
from ._tasks import Tasks

M = TypeVar("M")

BATCH = 256
"""Messages brought in between two passes of the loop."""
IDLE_ASKERS = 64
"""Parked tasks that are kept for the next questions; 2 kB each."""


@final
class _Asker:
    """A task of ours that waits for one answer at a time."""

    __slots__ = ("deferred", "question", "task")

    def __init__(self) -> None:
        self.task = current_task()
        self.question: Question | None = None
        self.deferred: Deferred | None = None

    def take(self, question: Question) -> None:
        self.question = question
        self.deferred = Deferred(question.message, self.task, question.ref)
        question.ref._mailbox.put_ask(self.deferred)  # noqa: SLF001

    def let_go(self) -> bool:
        """Give up the question; whether the task is still parked then, and free."""
        if self.deferred is None or not self.deferred.waiting:
            return False
        self.deferred.give_up(_never)
        return True

    def abort(self, _raise_cancel: Callable[[], Any]) -> Abort:
        self.let_go()
        return Abort.SUCCEEDED


@final
class Portal:
    """Tells and asks actors from other threads; made by :func:`open_portal`.

    Messages of one thread arrive in the order in which it sent them.  Wherever an actor is asked
    for, its ref or the name it is registered under will do.

    In guest mode the host's code may use :meth:`tell` and :meth:`aask` in trio's own thread.
    """

    def __init__(self, system: System, capacity: int) -> None:
        self._system = system
        self._capacity = capacity
        self._token = current_trio_token()
        self._thread = threading.get_ident()
        # Reentrant: a signal handler or a finalizer may send while its thread is sending.
        self._lock = threading.RLock()
        self._closed = False
        self._woken = False
        self._queue: deque[Question | tuple[Ref[Any], object]] = deque()
        # What follows is touched by trio's thread only.
        self._tasks = Tasks(system.nursery, system.abort)
        self._idle: list[_Asker] = []
        self._hired = 0
        """Askers that have been started and are not up yet."""
        self._in_flight: dict[Question, _Asker] = {}
        self._tasks.start_soon(self._watch)

    # In other threads.

    def tell(self, to: Ref[M] | str, message: M) -> None:
        """Send without waiting.

        What the actor's mailbox does not take is a dead letter, as the sender has gone on.

        Raises:
            ActorDead: the portal is closed, or nobody has the name.
            MailboxFull: the loop is so far behind that the portal takes no more.
            RuntimeError: called from a trio task of the system's own thread.
        """
        self._refuse_tasks()
        self._post((self._find(to), message))

    def ask(self, to: Ref[M] | str, message: M, timeout: float | None = 5.0) -> Any:
        """Send, and block until `receive` has answered.

        Args:
            to: whom.
            message: what to send.
            timeout: seconds of real time; None waits for ever.

        Raises:
            AskTimeout: no answer in time; the message may be handled yet.
            ActorDead: nobody is there, it ended before it answered, or the portal was closed.
            ActorCrashed: it crashed with the message in hand.
            MailboxFull: the portal takes no more, or the actor's mailbox dropped it.
            RuntimeError: called in the system's own thread, where it could never be answered.
        """
        if threading.get_ident() == self._thread:
            raise RuntimeError("Portal.ask would block the loop: use `await ref.ask(...)` here")
        question = ThreadQuestion(self._find(to), message)
        self._post(question)
        try:
            return question.wait(timeout)
        finally:
            self._abandon(question)

    async def aask(
        self,
        to: Ref[M] | str,
        message: M,
        timeout: float | None = 5.0,  # noqa: ASYNC109 - asyncio is not cancelled by scopes
    ) -> Any:
        """Do as :meth:`ask` in a task of asyncio; its cancellation abandons the question.

        Raises:
            AskTimeout, ActorDead, ActorCrashed, MailboxFull: as for :meth:`ask`.
            RuntimeError: called from a trio task, or without a running asyncio loop.
        """
        self._refuse_tasks()
        question = AsyncioQuestion(self._find(to), message, asyncio.get_running_loop())
        self._post(question)
        try:
            return await question.wait(timeout)
        finally:
            self._abandon(question)

    def close(self) -> None:
        """Let nothing more through, and fail the questions under way.

        What was told before still arrives.  Any thread may do this, and again.
        """
        with self._lock:
            self._closed = True
        if in_trio_task() and threading.get_ident() == self._thread:
            self._shut()
        else:
            self._call_soon(self._shut)

    def _refuse_tasks(self) -> None:
        if threading.get_ident() == self._thread and in_trio_task():
            raise RuntimeError("a portal is for other threads: use the ref itself here")

    def _find(self, to: Ref[M] | str) -> Ref[M]:
        if isinstance(to, str):
            ref = self._system.whereis(to)
            if ref is None:
                raise ActorDead(f"nobody is registered as {to!r}")
            return ref
        if to.system is not self._system:
            raise ValueError(f"{to!r} belongs to another system")
        return to

    def _post(self, item: Question | tuple[Ref[Any], object]) -> None:
        with self._lock:
            if self._closed:
                raise ActorDead(f"the portal to {self._system.name} is closed")
            if len(self._queue) >= self._capacity:
                raise MailboxFull(f"{self._capacity} messages wait at the portal already")
            self._queue.append(item)
            if not self._woken:
                # In this order: a KeyboardInterrupt in between costs a needless wake-up, not
                # one that everybody waits for.
                self._call_soon(self._pump)
                self._woken = True

    def _abandon(self, question: Question) -> None:
        if not question.settled:
            question.abandoned = True
            self._call_soon(self._drop, question)

    def _call_soon(self, function: Callable[..., None], *args: object) -> None:
        with suppress(trio.RunFinishedError):  # then everything has been failed
            self._token.run_sync_soon(function, *args)

    # In trio's thread.

    async def _watch(self) -> None:
        # Also ends with the system, whose nursery it is in.
        try:
            await trio.sleep_forever()
        finally:
            self._shut()

    def _pump(self) -> None:
        """Bring in what waits, up to a question for which there is no asker."""
        with self._lock:
            self._woken = False
        for _ in range(min(len(self._queue), BATCH)):
            item = self._queue[0]
            if isinstance(item, tuple):
                self._deliver(*item)
            elif not self._put(item):
                return
            self._queue.popleft()
        if self._queue:
            self._call_soon(self._pump)

    def _deliver(self, ref: Ref[Any], message: object) -> None:
        with suppress(MailboxFull):  # it has been counted as a dead letter
            ref.tell(message)

    def _put(self, question: Question) -> bool:
        """Put *question* into its mailbox; False if that has to wait for an asker."""
        if question.abandoned:
            return True
        if not question.ref.alive:
            question.settle(Error(ActorDead(question.ref.path)))
            return True
        if not self._idle:
            self._hire()
            return False
        asker = self._idle.pop()
        self._in_flight[question] = asker
        asker.take(question)
        return True

    def _hire(self) -> None:
        if self._hired:
            return
        with self._lock:  # another thread may add to the queue while it is read
            ahead = list(islice(self._queue, IDLE_ASKERS))
        self._hired = sum(not isinstance(item, tuple) for item in ahead)
        for _ in range(self._hired):
            self._tasks.start_soon(self._be_asker)

    async def _be_asker(self) -> None:
        self._hired -= 1
        asker = _Asker()
        # By then this task is parked, as it has to be before it can be answered.
        self._token.run_sync_soon(self._pump, idempotent=True)
        while len(self._idle) < IDLE_ASKERS:
            self._idle.append(asker)
            answer: Outcome[Any]
            try:
                answer = Value(await wait_task_rescheduled(asker.abort))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the asker's
                answer = Error(error)
            question, asker.question, asker.deferred = asker.question, None, None
            if question is not None and self._in_flight.pop(question, None) is not None:
                question.settle(answer)

    def _drop(self, question: Question) -> None:
        asker = self._in_flight.get(question)
        if asker is not None and asker.let_go():
            del self._in_flight[question]
            self._idle.append(asker)

    @enable_ki_protection
    def _shut(self) -> None:
        with self._lock:
            self._closed = True
            queue, self._queue = self._queue, deque()
        gone = f"the portal to {self._system.name} was closed"
        for item in queue:
            if isinstance(item, tuple):
                self._deliver(*item)
            else:
                item.settle(Error(ActorDead(gone)))
        for question in self._in_flight:
            question.settle(Error(ActorDead(gone)))
        self._in_flight.clear()
        self._tasks.cancel()


@contextmanager
def open_portal(system: System, *, capacity: int = 65_536) -> Iterator[Portal]:
    """Let other threads reach the actors of *system* while the block runs.

    The portal closes with the block or with the system, whichever ends first.

    Args:
        system: of the trio run that calls this.
        capacity: how many messages may wait to be brought into the loop.

    Raises:
        ActorDead: the system has ended.
    """
    if system.done.is_set():
        raise ActorDead(f"{system.name} has ended")
    portal = Portal(system, capacity)
    try:
        yield portal
    finally:
        portal.close()


def _never() -> None:
    raise AssertionError("nobody calls this")
