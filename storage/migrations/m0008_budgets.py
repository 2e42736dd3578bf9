"""What may be spent a day, what an attempt may have done outside, and what it held up."""

UP = """
-- Of a project, or of the home: there the id is '*', which no project can have.
CREATE TABLE budgets(
  id TEXT NOT NULL PRIMARY KEY,
  project_id TEXT REFERENCES projects(id),
  tokens_per_day INTEGER CHECK(tokens_per_day >= 0),
  cost_usd_per_day REAL CHECK(cost_usd_per_day >= 0),
  warn_at REAL NOT NULL CHECK(warn_at > 0 AND warn_at <= 1),
  day TEXT NOT NULL,
  tokens INTEGER NOT NULL, cost_usd REAL NOT NULL,
  level TEXT NOT NULL CHECK(level IN ('ample','short','spent')),
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, version INTEGER NOT NULL,
  UNIQUE(project_id),
  CHECK(id = coalesce(project_id, '*'))
) STRICT, WITHOUT ROWID;

ALTER TABLE pulses ADD COLUMN effects TEXT NOT NULL DEFAULT '';
ALTER TABLE pulses ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0 CHECK(skipped >= 0);
"""

DOWN = """
ALTER TABLE pulses DROP COLUMN skipped;
ALTER TABLE pulses DROP COLUMN effects;
DROP TABLE budgets;
"""
