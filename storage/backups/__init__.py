"""Copies of a home that can be trusted: made while it works, checked, kept, and put back."""

from ._backup import Backup, Check
from ._backups import Backups, finish_restore
from ._errors import BackupDamaged, BackupFailed, BackupTooNew, DiskFull, RestoreUnfinished
from ._restore import Restored
from ._retention import SCHEDULED
from ._shelf import BackupInUse

__all__ = [
    "SCHEDULED",
    "Backup",
    "BackupDamaged",
    "BackupFailed",
    "BackupInUse",
    "BackupTooNew",
    "Backups",
    "Check",
    "DiskFull",
    "RestoreUnfinished",
    "Restored",
    "finish_restore",
]
