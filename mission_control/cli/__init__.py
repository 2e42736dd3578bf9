"""The ``mission-control`` command: one module a group of sub-commands."""

from ._group import main

__all__ = ["main"]
