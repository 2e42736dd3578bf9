"""The schema and its history: up, down, rehearsed, checked."""

from ._check import check_database
from ._compact import Compacted, compact
from ._create import create_migration
from ._export import EXPORTED, export_rows
from ._fit import open_fitting, refuse_misfit
from ._migration import Migration, SchemaMismatch, known_migrations
from ._open import open_migrated
from ._rehearsal import Rehearsal, rehearse_migrate, rehearse_rollback
from ._script import MigrationFailed
from ._status import SchemaStatus, StepStatus, schema_status
from ._steps import NoWayBack, migrate, rollback

__all__ = [
    "EXPORTED",
    "Compacted",
    "Migration",
    "MigrationFailed",
    "NoWayBack",
    "Rehearsal",
    "SchemaMismatch",
    "SchemaStatus",
    "StepStatus",
    "check_database",
    "compact",
    "create_migration",
    "export_rows",
    "known_migrations",
    "migrate",
    "open_fitting",
    "open_migrated",
    "refuse_misfit",
    "rehearse_migrate",
    "rehearse_rollback",
    "rollback",
    "schema_status",
]
