"""The history of the schema: one module a step, numbered without a gap, never edited once landed.

A step has a docstring that says what it is for, `UP`, and `DOWN`, each a script of SQL.
"""
