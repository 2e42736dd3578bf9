"""On the way back the list of the archived changes is put by: the older schema has no place for it.

Without it nobody would find them again, although their files are there.
"""

UP = """
INSERT OR IGNORE INTO log_segments
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       json_extract(value, '$[3]'), json_extract(value, '$[4]')
  FROM json_each((SELECT value FROM meta WHERE key = 'log_segments'));
DELETE FROM meta WHERE key = 'log_segments';
"""

DOWN = """
INSERT INTO meta
SELECT 'log_segments',
       (SELECT json_group_array(json_array(first, last, earliest, sha256, file)) FROM log_segments)
 WHERE EXISTS(SELECT 1 FROM log_segments);
"""
