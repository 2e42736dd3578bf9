"""Leases with fencing tokens: the writes of an attempt hold while its lease does.

An attempt that was open under the first schema has the fence 0, and its lease that token.
"""

UP = """
-- holder: the pulse that holds it, null while nobody does.  A token only ever grows.
CREATE TABLE leases(
  name TEXT NOT NULL PRIMARY KEY,
  holder TEXT,
  token INTEGER NOT NULL CHECK(token >= 0),
  expires_at INTEGER,
  CHECK((holder IS NULL) = (expires_at IS NULL))
) STRICT, WITHOUT ROWID;

ALTER TABLE pulses ADD COLUMN fence INTEGER NOT NULL DEFAULT 0;

INSERT INTO leases
SELECT 'agent:' || p.agent_id, p.id, 0, p.started_at + CAST(a.timeout_s * 1000000 AS INTEGER)
  FROM pulses p JOIN agents a ON a.id = p.agent_id
 WHERE p.state <> 'ended';
"""

DOWN = """
ALTER TABLE pulses DROP COLUMN fence;
DROP TABLE leases;
"""
