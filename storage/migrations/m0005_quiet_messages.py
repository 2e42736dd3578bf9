"""A message may wait for the agent's next pulse instead of causing one."""

UP = """
ALTER TABLE messages ADD COLUMN wakes INTEGER NOT NULL DEFAULT 1 CHECK(wakes IN (0, 1));
"""

DOWN = """
ALTER TABLE messages DROP COLUMN wakes;
"""
