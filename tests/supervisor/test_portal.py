"""Other threads reach actors: in order, with an answer or an error, and never with a hang.

In real time and with real threads.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import math
import random
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import attrs
import pytest
import trio
from outcome import Value
from trio.lowlevel import current_statistics
from trio.testing import wait_all_tasks_blocked

from mission_control.supervisor import (
    Actor,
    ActorCrashed,
    ActorDead,
    ActorError,
    AskTimeout,
    ChildSpec,
    Context,
    Intensity,
    MailboxFull,
    Ref,
    Reply,
    SupervisorGaveUp,
    System,
    open_system,
)
from mission_control.supervisor._portal import Portal, open_portal
from mission_control.supervisor._questions import AsyncioQuestion

MANY_CRASHES = Intensity(1_000_000, period=1.0)

in_thread = trio.to_thread.run_sync


def real_time(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run *test* under trio's own clock, not the virtual one of this folder."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        trio.run(functools.partial(test, *args, **kwargs))

    return run


class Boom(Exception):
    """What the actor crashes with."""


@attrs.frozen
class Refuse:
    error: Exception


CRASH, NEVER, COUNT = "crash", "never", "count"


class Echo(Actor[Any]):
    """Answers with what it is asked, and keeps what it is told."""

    ctx: Context[Any]
    got: list[Any]

    def __init__(self, asked: threading.Event | None = None) -> None:
        self.got = []
        self._asked = asked or threading.Event()

    def receive(self, message: Any) -> Any:
        match message:
            case "crash":
                raise Boom
            case "never":
                self._unanswered = self.ctx.defer()
                self._asked.set()
                return None
            case "count":
                return list(self.got)
            case Refuse(error):
                return Reply(error=error)
            case _:
                self.got.append(message)
                return message

    def state(self) -> Any:
        return self._unanswered.abandoned


@attrs.frozen
class Scene:
    system: System
    portal: Portal
    echo: Ref[Any]
    asked: threading.Event
    """The echo has a question that it never answers."""


@asynccontextmanager
async def scene(capacity: int = 65_536) -> AsyncIterator[Scene]:
    asked = threading.Event()
    async with open_system("top", intensity=MANY_CRASHES, on_event=lambda _: None) as system:
        echo = await system.root.start_child(
            ChildSpec("echo", Echo, args=(asked,), capacity=math.inf, register="echo")
        )
        assert echo is not None
        with open_portal(system, capacity=capacity) as portal:
            yield Scene(system, portal, echo, asked)


class Asking(threading.Thread):
    """A thread with one ask; `outcome` is the answer or the error."""

    def __init__(self, portal: Portal, message: Any, timeout: float | None = None) -> None:
        super().__init__()
        self._ask = functools.partial(portal.ask, "echo", message, timeout=timeout)
        self.outcome: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.outcome = self._ask()
        except Exception as error:  # noqa: BLE001 - the test judges it
            self.outcome = error


async def joined(*threads: threading.Thread) -> None:
    for thread in threads:
        await in_thread(thread.join)


def tell_all(portal: Portal, count: int) -> None:
    for number in range(count):
        portal.tell("echo", number)


@real_time
async def test_x33_a_thread_asks_by_ref_and_by_name() -> None:
    async with scene() as s:
        assert await in_thread(s.portal.ask, s.echo, 1) == 1
        assert await in_thread(s.portal.ask, "echo", 2) == 2


@real_time
async def test_x33_what_one_thread_sends_arrives_in_its_order_told_or_asked() -> None:
    def send(portal: Portal) -> Any:
        for number in range(0, 500, 2):
            portal.tell("echo", number)
            portal.ask("echo", number + 1)
        return portal.ask("echo", COUNT)

    async with scene() as s:
        assert await in_thread(send, s.portal) == list(range(500))


@real_time
async def test_tells_of_a_busy_thread_share_one_wake_up() -> None:
    async with scene() as s:
        sender = threading.Thread(target=tell_all, args=(s.portal, 1000))
        before = current_statistics().run_sync_soon_queue_size
        sender.start()
        sender.join()  # the loop stands still
        assert current_statistics().run_sync_soon_queue_size == before + 1
        assert await in_thread(s.portal.ask, "echo", COUNT) == list(range(1000))


@real_time
async def test_a_portal_takes_only_so_many_messages_for_a_loop_that_stands_still() -> None:
    async with scene(capacity=3) as s:
        refused: list[Exception] = []

        def send() -> None:
            try:
                for number in range(10):
                    s.portal.tell("echo", number)
            except MailboxFull as error:
                refused.append(error)

        sender = threading.Thread(target=send)
        sender.start()
        sender.join()
        assert "3 messages wait" in str(refused[0])
        await wait_all_tasks_blocked()
        assert await in_thread(s.portal.ask, "echo", COUNT) == [0, 1, 2]


@real_time
async def test_what_a_full_mailbox_does_not_take_from_a_portal_is_a_dead_letter() -> None:
    async with scene() as s:
        spec = ChildSpec("small", Echo, capacity=1, overflow="fail", register="small")
        small = await s.system.root.start_child(spec)
        assert small is not None
        small.suspend()
        await in_thread(s.portal.tell, small, 1)
        await in_thread(s.portal.tell, small, 2)
        await in_thread(s.portal.ask, "echo", "all were brought in")
        assert [(letter.message, letter.reason) for letter in s.system.dead_letters] == [
            (2, "full")
        ]


@real_time
async def test_the_asker_gets_the_error_of_a_crash_and_the_next_incarnation_answers() -> None:
    async with scene() as s:
        with pytest.raises(ActorCrashed) as caught:
            await in_thread(s.portal.ask, "echo", CRASH)
        assert isinstance(caught.value.__cause__, Boom)
        assert await in_thread(s.portal.ask, "echo", 1) == 1
        assert s.echo.incarnation == 2


@real_time
async def test_an_error_that_the_actor_answers_with_is_raised_as_it_is() -> None:
    async with scene() as s:
        error = LookupError("no such card")
        with pytest.raises(LookupError) as caught:
            await in_thread(s.portal.ask, "echo", Refuse(error))
        assert caught.value is error


@real_time
async def test_an_ask_that_runs_out_of_time_is_abandoned() -> None:
    async with scene() as s:
        while not s.asked.is_set():  # or the time ran out before it was brought in
            with pytest.raises(AskTimeout, match="top/echo"):
                await in_thread(lambda: s.portal.ask("echo", NEVER, timeout=0.01))
        assert await s.echo.get_state() is True
        assert await in_thread(s.portal.ask, "echo", 1) == 1


@real_time
async def test_an_ask_without_any_time_left_does_not_wait() -> None:
    async with scene() as s:
        with pytest.raises(AskTimeout):
            await in_thread(lambda: s.portal.ask("echo", NEVER, timeout=-1.0))


@real_time
async def test_a_question_that_is_abandoned_before_it_is_brought_in_never_arrives() -> None:
    async with scene() as s:
        asking = Asking(s.portal, "too late", timeout=0.0)
        asking.join()  # the loop stands still
        assert isinstance(asking.outcome, AskTimeout)
        assert await in_thread(s.portal.ask, "echo", COUNT) == []


@real_time
async def test_an_ask_that_is_abandoned_just_after_its_answer_breaks_nothing() -> None:
    async with scene() as s:
        asking = Asking(s.portal, NEVER)
        await in_thread(s.asked.wait)
        ((question, asker),) = s.portal._in_flight.items()
        assert asker.deferred is not None
        asker.deferred.answer("just in time")
        s.portal._drop(question)
        await joined(asking)
        assert asking.outcome == "just in time"
        assert await in_thread(s.portal.ask, "echo", 1) == 1


@real_time
async def test_asking_the_dead_and_the_unknown_fails_at_once() -> None:
    async with scene() as s:
        await s.system.root.terminate_child("echo")
        for to in (s.echo, "echo"):
            with pytest.raises(ActorDead):
                await in_thread(s.portal.ask, to, 1)
        await in_thread(s.portal.tell, s.echo, "too late")
        with pytest.raises(ActorDead):
            await in_thread(s.portal.tell, "echo", "too late")
        with pytest.raises(ActorDead):  # and so all of the above has been brought in
            await in_thread(s.portal.ask, s.echo, 1)
        assert "too late" in [letter.message for letter in s.system.dead_letters]


@real_time
async def test_an_actor_that_is_stopped_for_good_fails_the_ask_it_has() -> None:
    async with scene() as s:
        asking = Asking(s.portal, NEVER)
        await in_thread(s.asked.wait)
        await s.system.root.terminate_child("echo")
        await joined(asking)
        assert isinstance(asking.outcome, ActorDead)


@real_time
async def test_x33_leaving_the_block_fails_what_is_under_way_and_what_comes_after() -> None:
    async with scene() as s:
        with open_portal(s.system) as portal:
            asking = Asking(portal, NEVER)
            await in_thread(s.asked.wait)
        await joined(asking)
        assert isinstance(asking.outcome, ActorDead)
        with pytest.raises(ActorDead, match="closed"):
            await in_thread(portal.ask, s.echo, 1)
        with pytest.raises(ActorDead, match="closed"):
            await in_thread(portal.tell, s.echo, 1)
        assert await in_thread(s.portal.ask, s.echo, 1) == 1  # the other portal is open


@real_time
async def test_a_question_that_waits_to_be_brought_in_fails_when_the_portal_closes() -> None:
    async def ask(portal: Portal) -> None:
        asking = asyncio.create_task(portal.aask("echo", 1, timeout=None))
        await asyncio.sleep(0)
        posted.set()
        with pytest.raises(ActorDead):
            await asking

    async with scene() as s:
        posted = threading.Event()
        thread = threading.Thread(target=asyncio.run, args=(ask(s.portal),))
        thread.start()
        posted.wait()  # the loop stands still
        s.portal.close()
        await joined(thread)
        assert await s.echo.ask(COUNT) == []


@pytest.mark.parametrize("where", ["another thread", "the loop"])
@real_time
async def test_a_portal_may_be_closed_from_everywhere_and_again(where: str) -> None:
    async with scene() as s:
        asking = Asking(s.portal, NEVER)
        await in_thread(s.asked.wait)
        for _ in range(2):
            if where == "the loop":
                s.portal.close()
            else:
                await in_thread(s.portal.close)
        await joined(asking)
        assert isinstance(asking.outcome, ActorDead)
    s.portal.close()  # after the run, too


@real_time
async def test_what_was_told_before_the_portal_closed_arrives() -> None:
    async with scene() as s:
        sender = threading.Thread(target=tell_all, args=(s.portal, 500))
        sender.start()
        sender.join()
        s.portal.close()
        assert await s.echo.ask(COUNT) == list(range(500))


@real_time
async def test_the_end_of_the_system_ends_a_portal_that_is_open_yet() -> None:
    with pytest.raises(SupervisorGaveUp):  # noqa: PT012 - that is how a system ends
        async with open_system(
            "top", intensity=Intensity(0, period=1.0), on_event=lambda _: None
        ) as system:
            asked = threading.Event()
            echo = await system.root.start_child(
                ChildSpec("echo", Echo, args=(asked,), register="echo")
            )
            assert echo is not None
            portal = open_portal(system)
            opened = portal.__enter__()
            asking = Asking(opened, NEVER)
            await in_thread(asked.wait)
            echo.tell(CRASH)
            await trio.sleep_forever()
    await joined(asking)
    assert isinstance(asking.outcome, ActorError)
    with pytest.raises(ActorDead):
        await in_thread(opened.tell, echo, 1)
    with pytest.raises(ActorDead), open_portal(system):
        pass
    portal.__exit__(None, None, None)


@real_time
async def test_cancelling_the_block_from_outside_fails_what_is_under_way() -> None:
    asking = None
    with trio.CancelScope() as scope:
        async with scene() as s:
            asking = Asking(s.portal, NEVER)
            await in_thread(s.asked.wait)
            scope.cancel()
            await trio.sleep_forever()
    assert asking is not None
    await joined(asking)
    assert isinstance(asking.outcome, ActorDead)


@real_time
async def test_in_the_loop_itself_a_portal_says_that_it_is_for_others() -> None:
    async with scene() as s:
        with pytest.raises(RuntimeError, match=r"await ref\.ask"):
            s.portal.ask("echo", 1)
        with pytest.raises(RuntimeError, match="other threads"):
            s.portal.tell("echo", 1)
        with pytest.raises(RuntimeError, match="other threads"):
            await s.portal.aask("echo", 1)


@real_time
async def test_a_ref_of_another_system_is_refused() -> None:
    async with scene() as s, scene() as other:
        with pytest.raises(ValueError, match="another system"):
            await in_thread(s.portal.tell, other.echo, 1)


# From asyncio.


@real_time
async def test_asyncio_tasks_ask_at_once_and_arrive_in_their_order() -> None:
    async def ask_all(portal: Portal) -> Any:
        answers = await asyncio.gather(*(portal.aask("echo", n) for n in range(300)))
        assert answers == list(range(300))
        return await portal.aask("echo", COUNT)

    async with scene() as s:
        assert await in_thread(asyncio.run, ask_all(s.portal)) == list(range(300))


@real_time
async def test_a_cancelled_asyncio_task_abandons_its_ask() -> None:
    async def cancel(s: Scene) -> None:
        task = asyncio.create_task(s.portal.aask("echo", NEVER, timeout=None))
        await asyncio.to_thread(s.asked.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await s.portal.aask("echo", 1) == 1

    async with scene() as s:
        await in_thread(asyncio.run, cancel(s))
        assert await s.echo.get_state() is True


@real_time
async def test_asyncio_askers_get_the_same_errors() -> None:
    async def ask(s: Scene) -> None:
        with pytest.raises(ActorCrashed):
            await s.portal.aask("echo", CRASH)
        with pytest.raises(AskTimeout):
            await s.portal.aask("echo", NEVER, timeout=0.01)
        with pytest.raises(TimeoutError, match="the actor's own"):
            await s.portal.aask("echo", Refuse(TimeoutError("the actor's own")))
        with pytest.raises(ActorDead):
            await s.portal.aask("nobody", 1)
        s.asked.clear()
        last = asyncio.create_task(s.portal.aask("echo", NEVER, timeout=None))
        await asyncio.to_thread(s.asked.wait)
        s.portal.close()
        with pytest.raises(ActorDead):
            await last

    async with scene() as s:
        await in_thread(asyncio.run, ask(s))


@real_time
async def test_an_answer_for_an_asyncio_loop_that_is_gone_disturbs_nobody() -> None:
    async with scene() as s:
        loop = asyncio.new_event_loop()
        question = AsyncioQuestion(s.echo, 1, loop)
        loop.close()
        question.settle(Value(1))


# Storms.


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Have the interpreter pass from thread to thread as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
@real_time
async def test_the_queue_may_grow_while_the_loop_looks_how_many_in_it_ask() -> None:
    looked = threading.Event()

    def send(portal: Portal) -> None:
        with suppress(MailboxFull):
            while not looked.is_set():
                portal.tell("echo", 1)

    async with scene() as s:
        senders = [threading.Thread(target=send, args=(s.portal,)) for _ in range(4)]
        for sender in senders:
            sender.start()
        try:
            for _ in range(5_000):
                s.portal._hire()  # nobody, as none of them asks
        finally:
            looked.set()
        await joined(*senders)
        assert await in_thread(s.portal.ask, "echo", 2) == 2


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("hasty_threads")
@real_time
async def test_in_a_storm_every_ask_returns_or_raises_and_every_thread_ends(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    ends_after = rng.randrange(200, 3000)
    answers, reached = itertools.count(1), threading.Event()
    storms: list[Counter[str]] = []

    def storm(portal: Portal, rng: random.Random) -> None:
        outcomes: Counter[str] = Counter()
        for number in itertools.count():
            message = CRASH if rng.random() < 0.05 else NEVER if rng.random() < 0.01 else number
            try:
                portal.tell("echo", number)
                answer = portal.ask("echo", message, timeout=0.05)
                outcomes["answered"] += 1
                assert answer == number
                if next(answers) == ends_after:
                    reached.set()
            except ActorError as error:
                outcomes[type(error).__name__] += 1
            if outcomes["ActorDead"] == 10:
                break
        storms.append(outcomes)

    async with scene() as s:
        threads = [
            threading.Thread(target=storm, args=(s.portal, random.Random(f"{seed} {n}")))  # noqa: S311
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        await in_thread(reached.wait)
    await joined(*threads)
    assert len(storms) == 8
    assert set().union(*storms) <= {"answered", "ActorCrashed", "ActorDead", "AskTimeout"}


@pytest.mark.usefixtures("hasty_threads")
@real_time
async def test_in_a_storm_of_asyncio_tasks_that_are_cancelled_every_task_ends() -> None:
    async def storm(portal: Portal) -> Counter[str]:
        rng = random.Random(1)  # noqa: S311
        tasks = []
        for number in range(600):
            message = rng.choice([CRASH, NEVER, number, number, number, number])
            tasks.append(asyncio.create_task(portal.aask("echo", message, timeout=0.2)))
            if rng.random() < 0.3:
                rng.choice(tasks).cancel()
            if number == 400:
                await asyncio.wait(tasks[:100])
                threading.Thread(target=portal.close).start()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        return Counter(type(end).__name__ for end in ends)

    async with scene() as s:
        ends = await in_thread(asyncio.run, storm(s.portal))
        assert ends.total() == 600
        assert set(ends) <= {"int", "CancelledError", "ActorCrashed", "ActorDead", "AskTimeout"}
        assert not s.portal._in_flight


@real_time
async def test_a_portal_keeps_few_tasks_after_many_asks_at_once() -> None:
    async def ask_all(portal: Portal) -> None:
        await asyncio.gather(*(portal.aask("echo", n) for n in range(1000)))

    async with scene() as s:
        before = current_statistics().tasks_living
        await in_thread(asyncio.run, ask_all(s.portal))
        assert current_statistics().tasks_living - before <= 64


@real_time
async def test_a_portal_keeps_few_tasks_after_many_asks_that_ran_out_of_time() -> None:
    def ask_in_vain(portal: Portal) -> None:
        for _ in range(100):
            with pytest.raises(AskTimeout):
                portal.ask("echo", NEVER, timeout=0.001)

    async with scene() as s:
        before = current_statistics().tasks_living
        await in_thread(ask_in_vain, s.portal)
        assert current_statistics().tasks_living - before <= 8
