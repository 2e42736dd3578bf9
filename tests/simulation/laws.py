"""What must hold after every commit, read from the log as it is written."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs

from log_tables import LOGGED, images_in, images_of
from mission_control.actors import Home
from mission_control.storage import Change, TaskStatus
from mission_control.storage._table import table_named
from mission_control.storage.history import State, changes_after

from .briefs import Briefs
from .estates import Estates
from .mentions import Mentions
from .papers import Papers
from .purses import Purses
from .reach import Reach

Row = dict[str, Any]
Rows = dict[str, Row]

FILES = "files"
"""Stands for what is no table: notes of changes that are about to be made."""


@attrs.define
class Laws:
    """Follows the log of one database, over all lives."""

    home: Home
    fail: Callable[[str], None]
    papers: Papers | None = None
    """Whose notes are followed; none, while a log is read again that was restored."""
    state: State = attrs.field(factory=State)
    agents: Rows = attrs.field(factory=dict)
    tasks: Rows = attrs.field(factory=dict)
    open_pulses: Rows = attrs.field(factory=dict)
    ended_pulses: set[str] = attrs.field(factory=set)
    messages: Rows = attrs.field(factory=dict)
    purses: Purses = attrs.field(init=False)
    reach: Reach = attrs.field(init=False)
    estates: Estates = attrs.field(init=False)
    mentions: Mentions = attrs.field(init=False)
    briefs: Briefs = attrs.field(init=False)
    touched: set[str] = attrs.field(factory=set)
    """Tables that the newest commit has changed; and whether a change of a file was noted."""
    _wrote: bool = False

    def __attrs_post_init__(self) -> None:
        self.purses, self.reach = Purses(self.fail), Reach(self.fail)
        self.estates = Estates(self.home, self.fail, on_disk=self.papers is not None)
        self.mentions = Mentions(self.fail)
        self.briefs = Briefs(self.fail)

    def committed(self, connection: sqlite3.Connection) -> None:
        """Look at what was committed since the last time."""
        rows = set()
        while changes := changes_after(connection, self.state.seq, 500):
            for change in changes:
                self._follow(change)
                rows.add((change.entity, change.entity_id))
        for entity, id_ in sorted(rows):
            self._compare(connection, entity, id_)
        self.touched = {entity for entity, _ in rows}
        if self._wrote:
            self.touched.add(FILES)
        self._one_in_progress()
        self._one_attempt()
        self.purses.compare()
        self.reach.compare()
        self.mentions.compare()
        self.estates.require_rest(self.open_pulses.values())
        if self._wrote:
            self._wrote = False
            self.look_at_papers()

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
        self.reach.written(change, self._task_of(change, after), after, busy=busy)
        match change.entity:
            case "projects":
                self._follow_project(change, after)
            case "agents":
                _keep(self.agents, change, after)
            case "tasks":
                _keep(self.tasks, change, after)
            case "messages":
                _keep(self.messages, change, after)
                if after is not None:
                    self.mentions.sent(after)
            case "pulses":
                self._follow_pulse(change, after)
            case "task_events" if after is not None:
                self._follow_event(change, after)
            case "budgets":
                self.purses.set_or_charged(change.entity_id, after)
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
        if pulse_id in self.ended_pulses and after is not None:
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
            self.briefs.begun(after)

    def _follow_project(self, change: Change, after: Row | None) -> None:
        self.estates.followed(change, after)
        if after is None:
            rows = (self.tasks, self.agents, self.open_pulses, self.messages)
            self.estates.require_no_rows(row for table in rows for row in table.values())
            if self.papers is not None:
                self.papers.forget(change.entity_id)

    def _follow_event(self, change: Change, event: Row) -> None:
        self._require_open(change, event)
        if event["kind"] == "thought":
            self.mentions.thought(change, event, self.agents)
        elif event["kind"] == "handed_off":
            self.mentions.handed_off(change, event)
        if event["kind"] == "file" and self.papers is not None:
            self.papers.noted(event)
            self._wrote = True

    def _require_open(self, change: Change, event: Row) -> None:
        if ":" in change.actor and event["pulse_id"] in self.ended_pulses:
            self.fail(f"an attempt that had ended wrote: {event['thought']}")

    def _compare(self, connection: sqlite3.Connection, entity: str, id_: str) -> None:
        table = table_named(entity)
        row = connection.execute(f"{table.select} WHERE id = ?", [id_]).fetchone()
        kept = None if row is None else table.image(list(row))
        if kept != self.state.images(entity).get(id_):
            self.fail(f"the board is not what the log says: {entity} {id_}")

    def look_at_papers(self) -> None:
        """Compare what agents have written with what is known of that."""
        if self.papers is not None:
            self.papers.look(self.estates.kept)

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
