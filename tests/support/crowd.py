"""Tens of thousands of rows in every table that grows, around one project in which tests work."""

from __future__ import annotations

from typing import Final

from mission_control.storage import commands as c
from storage_bench import Bench

MANY: Final = 20_000
"""Rows in each table; a quarter of them is of project `p`."""

_CROWD: Final = """
CREATE TEMP TABLE crowd AS
WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted LIMIT ?)
SELECT n, printf('%08x-0000-7000-8000-%012x', n, n) AS id,
  printf('%08x-0000-7000-8000-%012x', 1 + n % 4000, 1 + n % 4000) AS task,
  iif(n % 4, 'x' || (n % 75), 'p') AS project, iif(n % 3, 'okoye', 'shuri') AS soul
FROM counted
"""

_FILLS: Final = (
    """INSERT OR IGNORE INTO projects(id, name, state, base_id, created_at, updated_at, version)
    SELECT project, 'many', 'active', NULL, 0, 0, 1 FROM crowd WHERE project <> 'p'""",
    # A fifth is open, all of it in the backlog; a tenth of that waits for a time.
    """INSERT INTO tasks(id, project_id, title, description, status, assignee, priority, labels,
      side_effects, attempts, failures, not_before, created_by, created_at, updated_at, version)
    SELECT id, project, 'task ' || n, 'text', iif(n % 5, 2 + n % 2 * 2, 0), soul, 1 + n % 5,
      '["a"]', 0, 0, 0, iif(n % 50, NULL, 2 * n), 'operator', n, n, 1 FROM crowd""",
    """INSERT INTO task_dependencies
    SELECT id || '/' || task, project, id, task FROM crowd WHERE n > 4000""",
    """INSERT INTO task_events(id, project_id, task_id, kind, thought, action, at)
    SELECT id, project, task, 'thought', 'hm', '', n FROM crowd""",
    """INSERT INTO pulses(id, project_id, agent_id, task_id, kind, attempt, state, runner, outcome,
      detail, output, started_at, ended_at, version)
    SELECT id, project, soul || ':p', task, 'work', 1, 'ended', 'process', 'succeeded', '', '', n,
      n, 1 FROM crowd""",
    """INSERT INTO help_requests(id, project_id, task_id, issue, urgency, state, answer,
      answered_by, created_at, answered_at, version)
    SELECT id, project, task, 'How?', 'low', 'answered', 'So.', 'operator', n, n, 1 FROM crowd""",
    """INSERT INTO messages(id, project_id, to_agent, sender, text, read_by, at, version)
    SELECT id, project, soul || ':p', 'operator', 'hello', id, n, 1 FROM crowd""",
    """INSERT INTO chronicle(id, project_id, author, summary, technical_debt, at)
    SELECT id, project, 'operator', 'done', '', n FROM crowd""",
    """INSERT INTO memories(id, project_id, agent_id, summary, at)
    SELECT id, project, soul || ':p', 'learned', n FROM crowd""",
    """INSERT INTO changes(project_id, kind, entity, entity_id, actor, at, after)
    SELECT project, 'task_updated', iif(n % 20, 'task_events', 'tasks'), id, 'operator', n, NULL
    FROM crowd""",
    "INSERT INTO idempotency SELECT 'key ' || n, 'MoveTask', 'hash', '{}', n FROM crowd",
)


def crowd(bench: Bench) -> None:
    """Fill *bench*: project `p`, the agents shuri and okoye, and around them very much."""
    bench.project()
    for soul in ("shuri", "okoye"):
        bench.agent("p", soul)
    bench.connection.execute("BEGIN")
    bench.connection.execute(_CROWD, [MANY])
    for fill in _FILLS:
        bench.connection.execute(fill)
    bench.connection.execute("COMMIT")
    first = bench.task("p", "first", "shuri")
    bench.do(c.SendMessage("shuri:p", "hello"))
    bench.do(c.RequestHelp(bench.task("p", "asked", None).id, "How?"))
    bench.do(c.LogEvent(first.id, "hm"), key="a key")
