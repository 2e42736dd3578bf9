"""The table of locks against a model of what fair locks are; no tasks, no time."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from mission_control.storage.files._lock_table import Key, LockTable, Ticket

KEYS: list[Key] = [("alpha", ""), ("alpha", "a"), ("alpha", "b"), ("alpha", "c"), ("beta", "a")]


def ticket(granted: list[str], name: str, keys: tuple[Key, ...], *shared: Key) -> Ticket:
    return Ticket(name, keys, frozenset(shared), 0.0, partial(granted.append, name))


class FairLocks(RuleBasedStateMachine):
    """A request is granted when no older one that is still there wants a key it cannot share."""

    tickets = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.table = LockTable()
        self.granted: list[str] = []
        self.there: list[Ticket] = []  # oldest first
        self.count = 0

    @rule(
        target=tickets,
        keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=4, unique=True),
        shared=st.sets(st.sampled_from(KEYS)),
    )
    def request(self, keys: list[Key], shared: set[Key]) -> Ticket:
        self.count += 1
        asked = ticket(self.granted, str(self.count), tuple(keys), *shared & set(keys))
        self.there.append(asked)
        assert self.table.request(asked, now=self.count) == (not self._waits(asked))
        return asked

    @rule(asked=consumes(tickets))
    def give_back(self, asked: Ticket) -> None:
        waited = {each.holder for each in self.there if self._waits(each)}
        self.there.remove(asked)
        self.granted.clear()
        self.table.give_back(asked, now=self.count)
        freed = {each.holder for each in self.there if not self._waits(each)} & waited
        assert sorted(self.granted) == sorted(freed)

    @invariant()
    def who_waits_waits_for_an_older_one(self) -> None:
        for asked in self.there:
            assert (asked.granted_at is None) == self._waits(asked)
            if asked.granted_at is None:
                assert self.there.index(self.table.obstacle(asked).ticket) < self.there.index(asked)

    @invariant()
    def nothing_is_kept_that_nobody_wants(self) -> None:
        assert len(self.table) == len({key for asked in self.there for key in asked.keys})
        assert bool(self.there) == bool(self.table.list(0))

    def _waits(self, asked: Ticket) -> bool:
        return any(
            key in other.keys and not (key in asked.shared and key in other.shared)
            for other in self.there[: self.there.index(asked)]
            for key in asked.keys
        )


FairLocks.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow],  # on a busy machine
)
TestFairLocks = pytest.mark.timeout(300)(FairLocks.TestCase)


def test_what_is_held_is_listed_with_who_waits() -> None:
    table, granted = LockTable(), list[str]()
    whole, file = ("alpha", ""), ("alpha", "src/a")
    first = ticket(granted, "agent a", (whole, file), whole)
    second = ticket(granted, "agent b", (whole, file), whole)
    third = ticket(granted, "operator c", (whole,))
    assert [table.request(each, now=10) for each in (first, second, third)] == [True, False, False]
    infos = {(info.path, info.holder): info for info in table.list(now=15)}
    assert set(infos) == {(".", "agent a"), (".", "agent b"), ("src/a", "agent a")}
    held = infos["src/a", "agent a"]
    assert (held.held_s, held.waits, held.shared, held.queue) == (5, False, False, ("agent b",))
    assert infos[".", "agent b"].waits
    assert infos[".", "agent a"].shared
    assert infos[".", "agent a"].queue == ("operator c",)
    table.give_back(first, now=16)
    assert granted == ["agent b"]
    table.give_back(second, now=17)
    assert granted == ["agent b", "operator c"]
    table.give_back(third, now=18)
    assert len(table) == 0
