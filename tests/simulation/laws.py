"""What must hold after every commit, read from the log as it is written."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs

from log_tables import LOGGED, images_in, images_of
from mission_control.storage import Change, TaskStatus
from mission_control.storage._table import table_named
from mission_control.storage.history import State, changes_after

from .purses import Purses
from .reach import Reach

Row = dict[str, Any]
Rows = dict[str, Row]


@attrs.define
class Laws:
    """Follows the log of one database, over all lives."""

    fail: Callable[[str], None]
    state: State = attrs.field(factory=State)
    tasks: Rows = attrs.field(factory=dict)
    open_pulses: Rows = attrs.field(factory=dict)
    ended_pulses: set[str] = attrs.field(factory=set)
    messages: Rows = attrs.field(factory=dict)
    purses: Purses = attrs.field(init=False)
    reach: Reach = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.purses, self.reach = Purses(self.fail), Reach(self.fail)

    def committed(self, connection: sqlite3.Connection) -> None:
        """Look at what was committed since the last time."""
        while changes := changes_after(connection, self.state.seq, 500):
            for change in changes:
                self._follow(change)
            for entity, id_ in sorted({(change.entity, change.entity_id) for change in changes}):
                self._compare(connection, entity, id_)
        self._one_in_progress()
        self._one_attempt()
        self.purses.compare()
        self.reach.compare()

    def whole(self, connection: sqlite3.Connection) -> None:
        """Compare all tables with the log."""
        replayed, kept = images_in(self.state), images_of(connection)
        for name in LOGGED:
            if replayed[name] != kept[name]:
                self.fail(f"the board is not what the log says: {name}")

    def _follow(self, change: Change) -> None:
        if change.seq != self.state.seq + 1:
            self.fail(f"a gap in the log: {change.seq} follows {self.state.seq}")
        self.state.apply(change)
        after = None if change.after is None else json.loads(change.after)
        busy = any(pulse["agent_id"] == change.actor for pulse in self.open_pulses.values())
        self.reach.written(change, self._task_of(change, after), busy=busy)
        match change.entity:
            case "tasks":
                _keep(self.tasks, change, after)
            case "messages":
                _keep(self.messages, change, after)
            case "pulses":
                self._follow_pulse(change, after)
            case "task_events" if after is not None:
                self._require_open(change, after)
            case "budgets" if after is not None:
                self.purses.set_or_charged(after)
            case _:
                pass

    def _task_of(self, change: Change, after: Row | None) -> Row | None:
        match change.entity:
            case "tasks":
                return self.tasks.get(change.entity_id)
            case "task_events" if after is not None and after["kind"] == "thought":
                return self.tasks.get(after["task_id"])
            case _:
                return None

    def _follow_pulse(self, change: Change, after: Row | None) -> None:
        pulse_id = change.entity_id
        if pulse_id in self.ended_pulses:
            self.fail(f"an attempt that had ended was written to: {pulse_id}")
        known = self.open_pulses.pop(pulse_id, None)
        if after is None or after["state"] == "ended":
            self.ended_pulses.add(pulse_id)
            if after is not None:
                self.purses.ended(after)
            return
        self.open_pulses[pulse_id] = after
        if known is None:
            self.purses.begun(change, after)
            self.reach.begun(after["agent_id"])

    def _require_open(self, change: Change, event: Row) -> None:
        if ":" in change.actor and event["pulse_id"] in self.ended_pulses:
            self.fail(f"an attempt that had ended wrote: {event['thought']}")

    def _compare(self, connection: sqlite3.Connection, entity: str, id_: str) -> None:
        table = table_named(entity)
        row = connection.execute(f"{table.select} WHERE id = ?", [id_]).fetchone()
        kept = None if row is None else table.image(list(row))
        if kept != self.state.images(entity).get(id_):
            self.fail(f"the board is not what the log says: {entity} {id_}")

    def _one_in_progress(self) -> None:
        in_hand = Counter(
            f"{task['assignee']}:{task['project_id']}"
            for task in self.tasks.values()
            if task["status"] == TaskStatus.IN_PROGRESS
        )
        for agent_id, number in in_hand.items():
            if number > 1:
                self.fail(f"{agent_id} has {number} tasks in progress")

    def _one_attempt(self) -> None:
        agents = Counter(pulse["agent_id"] for pulse in self.open_pulses.values())
        tasks = Counter(
            pulse["task_id"] for pulse in self.open_pulses.values() if pulse["kind"] == "work"
        )
        for what, number in (agents + tasks).items():
            if number > 1:
                self.fail(f"{number} attempts are open of {what}")


def _keep(rows: Rows, change: Change, after: Row | None) -> None:
    if after is None:
        rows.pop(change.entity_id, None)
    else:
        rows[change.entity_id] = after
