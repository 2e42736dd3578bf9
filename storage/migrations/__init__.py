"""The history of the schema: one module a step, numbered without a gap, never edited once landed.

`mNNNN_name.py` has a docstring that says what it is for, `UP`, and where there is a way back
`DOWN`, each a script of SQL.  `mission-control db create NAME` writes the next one.
"""
