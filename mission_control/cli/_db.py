"""`mission-control db …`: the database's schema and its health, without a sidecar."""

from __future__ import annotations

import csv
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import click
from rich.filesize import decimal

from ..actors import Home
from ..storage import NotFound, WallClock, hold_home, schema, usable
from ..storage.backups import Backups, finish_restore
from . import _show
from ._backup import INTERRUPTED
from ._group import Shared, main, pass_shared

Save: TypeAlias = Callable[[], object]

COLUMNS = {
    "number": "number",
    "name": "name",
    "state": "state",
    "applied_at": "applied at (UTC)",
    "checksum": "checksum",
    "description": "description",
}

dry_run = click.option("--dry-run", is_flag=True, help="Try it on a private copy only.")


@main.group()
def db() -> None:
    """Bring the database up or down, and look after it."""


@db.command()
@pass_shared
def status(shared: Shared) -> None:
    """Show which migrations are applied."""
    home = Home(shared.home)
    with usable(home.database):
        found = schema.schema_status(home.database)
    shared.show(
        {
            "database": str(home.database),
            "restoring": _is_restoring(home),
            **attrs.asdict(found),
        },
        _show_status,
    )


def _show_status(value: dict[str, Any]) -> None:
    _show.rows([_short(each) for each in value["migrations"]], COLUMNS)
    if value["problem"]:
        click.echo(f"problem: {value['problem']}")
    if value["restoring"]:
        click.echo(INTERRUPTED)


def _is_restoring(home: Home) -> bool:
    return Backups(home.path, WallClock()).is_interrupted()


def _short(migration: dict[str, Any]) -> dict[str, Any]:
    """To the second, and to the first line."""
    return {
        **migration,
        "applied_at": (migration["applied_at"] or "")[:19],
        "description": migration["description"].partition("\n")[0],
    }


@db.command()
@click.option("--to", type=click.IntRange(min=1), help="Stop after the migration of this number.")
@dry_run
@pass_shared
def migrate(shared: Shared, to: int | None, dry_run: bool) -> None:
    """Apply the migrations that are missing; a backup is made first."""
    home = Home(shared.home)
    if dry_run:
        _rehearse(shared, lambda path: schema.rehearse_migrate(path, to=to))
        return
    home.make()
    _walk(shared, "applied", lambda opened, save: schema.migrate(opened, to=to, before=save))


@db.command()
@click.option("--steps", type=click.IntRange(min=1), default=1, show_default=True, help="How many.")
@dry_run
@pass_shared
def rollback(shared: Shared, steps: int, dry_run: bool) -> None:
    """Undo the newest migrations; a backup is made first.

    The next start of this program would apply them again: do this to go back to an older one.
    """
    home = Home(shared.home)
    _must_exist(home)
    if dry_run:
        _rehearse(shared, lambda path: schema.rehearse_rollback(path, steps))
        return
    _walk(shared, "undone", lambda opened, save: schema.rollback(opened, steps, before=save))


@db.command()
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the migrations lie.")
@pass_shared
def create(shared: Shared, name: str, folder: Path | None) -> None:
    """Write the file of the next migration, for you to fill in."""
    path = schema.create_migration(name, folder)
    shared.show({"path": str(path)}, lambda value: click.echo(value["path"]))


@db.command()
@pass_shared
def check(shared: Shared) -> None:
    """Look for damage: pages, keys, schema, log; exits with 1 where there is some."""
    home = Home(shared.home)
    _must_exist(home)
    findings = schema.check_database(home.database, home.changes)
    if _is_restoring(home):
        findings.append(INTERRUPTED)
    shared.show(
        {"ok": not findings, "findings": findings},
        lambda _: _tell(findings or ["the database is sound"]),
    )
    if findings:
        sys.exit(1)


@db.command()
@click.argument("table", type=click.Choice(schema.EXPORTED))
@click.option(
    "--format", "style", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True
)
@pass_shared
def export(shared: Shared, table: str, style: str) -> None:
    """Write the rows of a table to standard output; a sidecar may run meanwhile."""
    home = Home(shared.home)
    _must_exist(home)
    rows = schema.export_rows(home.database, table)
    if style == "csv":
        _write_csv(rows)
    else:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))


def _write_csv(rows: Iterator[dict[str, Any]]) -> None:
    """Write the names of the columns first; of a table without rows nothing."""
    writer = csv.writer(sys.stdout)
    for number, row in enumerate(rows):
        if number == 0:
            writer.writerow(row)
        writer.writerow(row.values())


@db.command()
@pass_shared
def compact(shared: Shared) -> None:
    """Give back the room of what was removed; a backup is made first.

    No sidecar may run.  The file does not grow without this either: the room is used again.
    """
    home = Home(shared.home)
    _must_exist(home)
    with _held(home), closing(schema.open_fitting(home.database)) as connection:
        saved = Backups(home.path, WallClock()).create(reason="before-compact")
        done = schema.compact(connection)
    shared.show(
        {"backup": saved.id, **attrs.asdict(done)},
        lambda _: _tell([f"made backup {saved.id}", _sizes(done)]),
    )


def _sizes(done: schema.Compacted) -> str:
    return f"{decimal(done.before)} are {decimal(done.after)} now"


def _must_exist(home: Home) -> None:
    if not home.database.exists():
        raise NotFound(f"there is no database {home.database}: name its home with --home")


def _walk(shared: Shared, done: str, walk: Callable[[sqlite3.Connection, Save], list[str]]) -> None:
    """Change the schema while nobody else has the database."""
    home = Home(shared.home)
    path = home.database
    saved: list[str] = []

    def save() -> None:
        saved.append(Backups(home.path, WallClock()).create(reason="before-migration").id)

    with _held(home), closing(schema.open_fitting(path)) as connection:
        names = walk(connection, save)
    shared.show(
        {done: names, "backup": saved[0] if saved else None},
        lambda _: _tell([*(f"made backup {each}" for each in saved), *_named(done, names)]),
    )


@contextmanager
def _held(home: Home) -> Iterator[None]:
    """Have the database to oneself, whole."""
    with hold_home(home.lock):
        finish_restore(home.path)
        with usable(home.database):
            yield


def _rehearse(shared: Shared, rehearse: Callable[[Path], schema.Rehearsal]) -> None:
    path = Home(shared.home).database
    with usable(path):
        found = rehearse(path)
    shared.show(attrs.asdict(found), lambda _: _show_rehearsal(found))


def _show_rehearsal(found: schema.Rehearsal) -> None:
    _tell(_named("would do", found.steps))
    if not found.steps:
        return
    if found.difference:
        click.echo(found.difference)
    match found.restored:
        case True:
            click.echo("the way back leads to the same schema")
        case False:
            click.echo("the way back leads to another schema")
        case None:
            click.echo("there is no way back but a backup")


def _named(done: str, names: list[str]) -> list[str]:
    return [f"{done} {name}" for name in names]


def _tell(lines: list[str]) -> None:
    click.echo("\n".join(lines) or "nothing to do")
