"""The first schema."""

UP = """
CREATE TABLE projects(
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL CHECK(name <> ''),
  state TEXT NOT NULL CHECK(state IN ('active','archived')),
  base_id TEXT,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE souls(
  id TEXT NOT NULL PRIMARY KEY, sha256 TEXT NOT NULL,
  created_at INTEGER NOT NULL, version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE agents(
  id TEXT NOT NULL PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects(id),
  soul TEXT NOT NULL REFERENCES souls(id),
  status TEXT NOT NULL
    CHECK(status IN ('idle','working','distilling','blocked','paused','failed')),
  slot INTEGER NOT NULL UNIQUE CHECK(slot >= 0),
  interval_s REAL NOT NULL CHECK(interval_s > 0),
  timeout_s REAL NOT NULL CHECK(timeout_s > 0),
  max_retries INTEGER NOT NULL CHECK(max_retries >= 0),
  command TEXT NOT NULL CHECK(json_type(command) = 'array'),
  gateway_agent TEXT NOT NULL,
  current_task_id TEXT, last_pulse_at INTEGER,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, version INTEGER NOT NULL,
  UNIQUE(project_id, soul)
) STRICT, WITHOUT ROWID;

CREATE TABLE tasks(
  id TEXT NOT NULL PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects(id),
  title TEXT NOT NULL CHECK(title <> ''), description TEXT NOT NULL,
  status INTEGER NOT NULL CHECK(status BETWEEN 0 AND 4),
  assignee TEXT,
  priority INTEGER NOT NULL CHECK(priority BETWEEN 1 AND 5),
  labels TEXT NOT NULL CHECK(json_type(labels) = 'array'),
  side_effects INTEGER NOT NULL CHECK(side_effects IN (0, 1)),
  due_at INTEGER,
  attempts INTEGER NOT NULL, failures INTEGER NOT NULL, not_before INTEGER,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, version INTEGER NOT NULL,
  CHECK(status <> 1 OR assignee IS NOT NULL)
) STRICT;
CREATE INDEX tasks_board ON tasks(project_id, status, priority, created_at, id);
CREATE INDEX tasks_assignee ON tasks(project_id, assignee, status, priority, created_at);
CREATE UNIQUE INDEX tasks_in_hand ON tasks(project_id, assignee) WHERE status = 1;

CREATE TABLE task_dependencies(
  id TEXT NOT NULL PRIMARY KEY,
  project_id TEXT NOT NULL,
  task_id TEXT NOT NULL REFERENCES tasks(id),
  depends_on TEXT NOT NULL REFERENCES tasks(id),
  CHECK(task_id <> depends_on)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_dependencies_task ON task_dependencies(task_id, depends_on);
CREATE INDEX task_dependencies_on ON task_dependencies(depends_on, task_id);
CREATE INDEX task_dependencies_project ON task_dependencies(project_id);

CREATE TABLE task_events(
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  project_id TEXT NOT NULL REFERENCES projects(id),
  task_id TEXT, agent_id TEXT, pulse_id TEXT,
  kind TEXT NOT NULL, thought TEXT NOT NULL, action TEXT NOT NULL, at INTEGER NOT NULL
) STRICT;
CREATE INDEX task_events_task ON task_events(task_id, pk);
CREATE INDEX task_events_project ON task_events(project_id, pk);

CREATE TABLE pulses(
  id TEXT NOT NULL PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects(id),
  agent_id TEXT NOT NULL,
  task_id TEXT,
  kind TEXT NOT NULL CHECK(kind IN ('work','distill','message','trigger')),
  attempt INTEGER NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('dispatching','running','ended')),
  runner TEXT NOT NULL,
  outcome TEXT, detail TEXT NOT NULL, output TEXT NOT NULL,
  process_group INTEGER, process_started TEXT, run_id TEXT, boot_id TEXT,
  tokens INTEGER, cost_usd REAL,
  started_at INTEGER NOT NULL, ended_at INTEGER, version INTEGER NOT NULL,
  CHECK((state = 'ended') = (outcome IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX pulses_open ON pulses(agent_id) WHERE state <> 'ended';
CREATE INDEX pulses_project ON pulses(project_id, started_at);
CREATE INDEX pulses_agent ON pulses(agent_id, started_at);
CREATE INDEX pulses_task ON pulses(task_id, started_at);

CREATE TABLE sessions(
  id TEXT NOT NULL PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects(id),
  key TEXT NOT NULL UNIQUE, session_id TEXT NOT NULL, runner TEXT NOT NULL,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE help_requests(
  id TEXT NOT NULL PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects(id),
  task_id TEXT NOT NULL, agent_id TEXT,
  issue TEXT NOT NULL, urgency TEXT NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('open','answered','withdrawn')),
  answer TEXT, answered_by TEXT,
  created_at INTEGER NOT NULL, answered_at INTEGER, version INTEGER NOT NULL,
  CHECK((state = 'answered') = (answer IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX help_requests_project ON help_requests(project_id, state, created_at);
CREATE INDEX help_requests_state ON help_requests(state, created_at);
CREATE INDEX help_requests_task ON help_requests(task_id, state);
CREATE INDEX help_requests_agent ON help_requests(agent_id, state);

CREATE TABLE messages(
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  project_id TEXT NOT NULL REFERENCES projects(id),
  to_agent TEXT NOT NULL, sender TEXT NOT NULL, text TEXT NOT NULL,
  read_by TEXT,
  at INTEGER NOT NULL, version INTEGER NOT NULL
) STRICT;
CREATE INDEX messages_agent ON messages(to_agent, read_by, pk);
CREATE INDEX messages_history ON messages(to_agent, pk);

CREATE TABLE chronicle(
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  project_id TEXT NOT NULL REFERENCES projects(id),
  author TEXT NOT NULL, summary TEXT NOT NULL, technical_debt TEXT NOT NULL, at INTEGER NOT NULL
) STRICT;
CREATE INDEX chronicle_project ON chronicle(project_id, pk);

CREATE TABLE memories(
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  project_id TEXT NOT NULL REFERENCES projects(id),
  agent_id TEXT NOT NULL, task_id TEXT, summary TEXT NOT NULL, at INTEGER NOT NULL
) STRICT;
CREATE INDEX memories_agent ON memories(agent_id, pk);

-- The log.  AUTOINCREMENT: a number is never given twice; with one writer there are no gaps.
CREATE TABLE changes(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  project_id TEXT, kind TEXT NOT NULL, entity TEXT NOT NULL, entity_id TEXT NOT NULL,
  actor TEXT NOT NULL, at INTEGER NOT NULL,
  after TEXT CHECK(after IS NULL OR json_valid(after))
) STRICT;
CREATE INDEX changes_project ON changes(project_id, seq);
CREATE TRIGGER changes_are_history BEFORE UPDATE ON changes
BEGIN SELECT RAISE(ABORT, 'the change log is never rewritten'); END;
CREATE TRIGGER task_events_are_history BEFORE UPDATE ON task_events
BEGIN SELECT RAISE(ABORT, 'the thought stream is never rewritten'); END;

CREATE TABLE idempotency(
  key TEXT NOT NULL PRIMARY KEY, command TEXT NOT NULL, request_hash TEXT NOT NULL,
  result TEXT NOT NULL CHECK(json_valid(result)), at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_at ON idempotency(at);

CREATE TABLE meta(key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""

DOWN = """
DROP TABLE meta; DROP TABLE idempotency; DROP TABLE changes; DROP TABLE memories;
DROP TABLE chronicle; DROP TABLE messages; DROP TABLE help_requests; DROP TABLE sessions;
DROP TABLE pulses; DROP TABLE task_events; DROP TABLE task_dependencies; DROP TABLE tasks;
DROP TABLE agents; DROP TABLE souls; DROP TABLE projects;
"""
