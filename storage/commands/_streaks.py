"""What the last attempts have in common: counted in their rows, so that no restart forgets it."""

from __future__ import annotations

import sqlite3
from typing import Final

from .._records import Pulse, PulseKind, Task

LOST: Final = "lost"
SUCCEEDED: Final = "succeeded"

LOST_EXCUSED: Final = 5
"""So many lost attempts in a row are no fault of what they were at.

Hosts crash, and do so again while a bad update is taken back; all that runs is lost each time.  As
the pauses between them double, from 5 s on, the first that is blamed comes two and a half minutes
after the first loss at the earliest, and a card is put before a human only where its host has
crashed again and again for ten minutes (with three tries), each time with this card at work, and
none in between came to any end.  Nothing that attempts say begins the count anew: they are asked to
say what they are about to do, so one that is about to take the host down has said something too.
"""

_MOST: Final = 100
"""How far back is looked."""

_AT_TASK = "task_id = ?1 AND kind = 'work'"
_BY_AGENT = "agent_id = ?1 AND kind <> 'work'"
_ENDS = (
    "SELECT outcome FROM pulses WHERE {whose} AND state = 'ended' AND outcome <> 'not_started'"
    " ORDER BY started_at DESC, id DESC LIMIT ?2"
)

_LAST_MOVE = """
SELECT max(coalesce((SELECT at FROM task_events WHERE task_id = ?1
  AND NOT CASE WHEN kind = 'moved' THEN agent_id IS ?2
    WHEN kind = 'claimed' THEN agent_id IS NOT NULL AND pulse_id IS NULL
    WHEN kind IN ('failed', 'interrupted', 'deadman')
      THEN at IS (SELECT ended_at FROM pulses WHERE id = pulse_id)
    ELSE kind IN ('advice', 'stranded') AND agent_id IS NULL END ORDER BY pk DESC LIMIT 1), 0),
 coalesce((SELECT at FROM messages WHERE to_agent = ?2 AND wakes = 1 ORDER BY pk DESC LIMIT 1), 0),
 coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'judged_from'), 0))
"""
"""When something was last told of a card, or told its agent.

That an agent takes a card up, or gives it back, moves nothing; nor does what the service tells of
an attempt.  The kind alone does not say who wrote an event: agents choose the kind of what they
log, but never the moment at which an attempt ends.  What was begun before the home was upgraded to
a program that looks for moves is not judged.
"""

_SINCE = """
SELECT count(*) FROM (SELECT 1 FROM pulses WHERE task_id = ?1 AND started_at > ?2
  AND kind = 'work' AND (outcome = 'succeeded' OR id = ?3) LIMIT ?4)
"""


def lost_in_a_row(connection: sqlite3.Connection, pulse: Pulse) -> int:
    """Return how many attempts before *pulse*, or with it if it has ended, were lost in a row.

    At the same card; of an attempt at none, of the same agent at none.  It looks a hundred back.
    """
    at_task = pulse.task_id is not None and pulse.kind is PulseKind.WORK
    whose, id_ = (_AT_TASK, pulse.task_id) if at_task else (_BY_AGENT, pulse.agent_id)
    lost = 0
    for (outcome,) in connection.execute(_ENDS.format(whose=whose), [id_, _MOST]):
        if outcome != LOST:
            break
        lost += 1
    return lost


def ended_well(connection: sqlite3.Connection, task_id: str) -> bool:
    """Whether the last attempt at a card succeeded, so that it does not wait because of that one.

    So it is where there was none.  What the card's failures say is another matter: they stay where
    its agent gives it back.
    """
    found = connection.execute(_ENDS.format(whose=_AT_TASK), [task_id, 1]).fetchone()
    return found is None or found[0] == SUCCEEDED


def idle_in_a_row(connection: sqlite3.Connection, task: Task, now: Pulse | None = None) -> int:
    """Return in how many of the last attempts at *task* nothing moved; a hundred at most.

    They succeeded, and since the first of them began nothing was added to the card's stream, nor
    was its agent told anything.  *now*, which is open, counts as if it had succeeded.
    """
    agent_id = f"{task.assignee}:{task.project_id}"
    last_move = connection.execute(_LAST_MOVE, [task.id, agent_id]).fetchone()[0]
    now_id = None if now is None else now.id
    found = connection.execute(_SINCE, [task.id, last_move, now_id, _MOST]).fetchone()
    return int(found[0])
