"""Attempts from before this step are not taken for idle: nobody looked then what they moved."""

UP = """
INSERT INTO meta
SELECT 'judged_from', CAST(max(started_at) AS TEXT) FROM pulses HAVING count(*) > 0;
"""

DOWN = """
DELETE FROM meta WHERE key = 'judged_from';
"""
