"""Projects that are being deleted, memories owed over a pause, messages given back, people told."""

UP = """
ALTER TABLE projects ADD COLUMN deleting TEXT CHECK(deleting IN ('archive', 'purge'));

-- An agent that is to distil just now says so by its status: the log knows of no other value.
ALTER TABLE agents
  ADD COLUMN owes_memory INTEGER NOT NULL DEFAULT 0 CHECK(owes_memory IN (0, 1));

ALTER TABLE messages ADD COLUMN failures INTEGER NOT NULL DEFAULT 0 CHECK(failures >= 0);
ALTER TABLE messages ADD COLUMN not_before INTEGER;
ALTER TABLE messages ADD COLUMN hops INTEGER NOT NULL DEFAULT 0 CHECK(hops >= 0);

ALTER TABLE help_requests ADD COLUMN told_at INTEGER;
ALTER TABLE help_requests ADD COLUMN halts INTEGER NOT NULL DEFAULT 1 CHECK(halts IN (0, 1));
CREATE INDEX help_requests_untold ON help_requests(created_at, id)
  WHERE state = 'open' AND told_at IS NULL;

-- By these the rows of a project are found when it is deleted.
CREATE INDEX messages_project ON messages(project_id);
CREATE INDEX memories_project ON memories(project_id);
CREATE INDEX sessions_project ON sessions(project_id);
"""

DOWN = """
DROP INDEX sessions_project; DROP INDEX memories_project; DROP INDEX messages_project;
DROP INDEX help_requests_untold;
ALTER TABLE help_requests DROP COLUMN halts;
ALTER TABLE help_requests DROP COLUMN told_at;
ALTER TABLE messages DROP COLUMN hops;
ALTER TABLE messages DROP COLUMN not_before;
ALTER TABLE messages DROP COLUMN failures;
ALTER TABLE agents DROP COLUMN owes_memory;
ALTER TABLE projects DROP COLUMN deleting;
"""
