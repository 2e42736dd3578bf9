"""History cannot be changed: triggers say so, and old parts of the log go only to the archive."""

UP = """
CREATE INDEX changes_at ON changes(at);
-- Partial, so that the thought stream, most of the log, does not pay for it.
CREATE INDEX changes_board ON changes(project_id, seq)
  WHERE entity IN ('projects', 'tasks', 'task_dependencies');

-- The newest cards that are over, for a board that does not show them all.
CREATE INDEX tasks_closed ON tasks(project_id, status, updated_at) WHERE status = 2 OR status = 4;

-- Whether the working notes are put away with what was learned from them.
ALTER TABLE memories
  ADD COLUMN archive_notes INTEGER NOT NULL DEFAULT 1 CHECK(archive_notes IN (0, 1));

-- What was taken out of the log, and where it is.
CREATE TABLE log_segments(
  first INTEGER PRIMARY KEY CHECK(first > 0),
  last INTEGER NOT NULL CHECK(last >= first),
  earliest INTEGER NOT NULL,
  sha256 TEXT NOT NULL, file TEXT NOT NULL
) STRICT;
CREATE TRIGGER log_segments_are_history BEFORE UPDATE ON log_segments
BEGIN SELECT RAISE(ABORT, 'the list of archived changes is never rewritten'); END;
CREATE TRIGGER log_segments_are_kept BEFORE DELETE ON log_segments
BEGIN SELECT RAISE(ABORT, 'the list of archived changes is never shortened'); END;

CREATE TRIGGER changes_are_kept BEFORE DELETE ON changes
WHEN OLD.seq > coalesce(
  (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'retention_seq'), 0)
BEGIN SELECT RAISE(ABORT, 'changes are deleted up to the retention mark only'); END;
CREATE TRIGGER retention_goes_on BEFORE UPDATE ON meta
WHEN OLD.key = 'retention_seq' AND CAST(NEW.value AS INTEGER) < CAST(OLD.value AS INTEGER)
BEGIN SELECT RAISE(ABORT, 'the retention mark never goes back'); END;

-- A project that is deleted takes its history with it: the command that does so says which, in a
-- mark that is gone before it commits.
CREATE TRIGGER task_events_are_kept BEFORE DELETE ON task_events
WHEN NOT EXISTS(SELECT 1 FROM meta WHERE key = 'erasing' AND value = OLD.project_id)
BEGIN SELECT RAISE(ABORT, 'the thought stream is never shortened'); END;
CREATE TRIGGER chronicle_is_history BEFORE UPDATE ON chronicle
BEGIN SELECT RAISE(ABORT, 'the chronicle is never rewritten'); END;
CREATE TRIGGER chronicle_is_kept BEFORE DELETE ON chronicle
WHEN NOT EXISTS(SELECT 1 FROM meta WHERE key = 'erasing' AND value = OLD.project_id)
BEGIN SELECT RAISE(ABORT, 'the chronicle is never shortened'); END;
CREATE TRIGGER memories_are_history BEFORE UPDATE ON memories
BEGIN SELECT RAISE(ABORT, 'memories are never rewritten'); END;
CREATE TRIGGER memories_are_kept BEFORE DELETE ON memories
WHEN NOT EXISTS(SELECT 1 FROM meta WHERE key = 'erasing' AND value = OLD.project_id)
BEGIN SELECT RAISE(ABORT, 'memories are never forgotten'); END;
CREATE TRIGGER ended_pulses_are_history BEFORE UPDATE ON pulses WHEN OLD.state = 'ended'
BEGIN SELECT RAISE(ABORT, 'an attempt that has ended is never rewritten'); END;
CREATE TRIGGER pulses_are_kept BEFORE DELETE ON pulses
WHEN NOT EXISTS(SELECT 1 FROM meta WHERE key = 'erasing' AND value = OLD.project_id)
BEGIN SELECT RAISE(ABORT, 'attempts are never deleted'); END;
"""

DOWN = """
DROP TRIGGER pulses_are_kept; DROP TRIGGER ended_pulses_are_history;
DROP TRIGGER memories_are_kept; DROP TRIGGER memories_are_history;
DROP TRIGGER chronicle_is_kept; DROP TRIGGER chronicle_is_history;
DROP TRIGGER task_events_are_kept;
DROP TRIGGER retention_goes_on; DROP TRIGGER changes_are_kept;
DROP TABLE log_segments;
ALTER TABLE memories DROP COLUMN archive_notes;
DROP INDEX tasks_closed; DROP INDEX changes_board; DROP INDEX changes_at;
"""
