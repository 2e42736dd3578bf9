"""`mission-control backup …`: copies of the home, with or without a sidecar running."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from ..config import load_config
from ..storage import US, Conflict, Invalid, NotFound, WallClock
from ..storage.backups import Backup, BackupInUse, Backups, Restored
from ..storage.history import parse_moment
from . import _show
from ._group import Shared, main, pass_shared

# Not when it was made: its id begins with that.
COLUMNS = {
    "id": "backup",
    "size": "size",
    "seq": "change",
    "reason": "reason",
    "verified": "verified",
}

INTERRUPTED = "a restore was interrupted: 'mission-control run' or 'backup restore' ends it"


@main.group()
def backup() -> None:
    """Copy the home, and put copies back."""


def _backups(shared: Shared) -> Backups:
    return Backups(shared.home, WallClock())


@backup.command()
@pass_shared
def create(shared: Shared) -> None:
    """Copy database, souls and projects' notes; a sidecar may run meanwhile."""
    with _bar(shared, "copying the database") as bar:
        made = _backups(shared).create(progress=bar)
    shared.show({"backup": _wire(made)}, lambda _: _tell_made(made))


def _tell_made(made: Backup) -> None:
    files = len(made.manifest.files)
    click.echo(
        f"backup {made.id} made and verified: the database and {files} files, {decimal(made.size)}"
    )
    for each in made.manifest.skipped:
        click.echo(f"left out: {each!r}")


@backup.command("list")
@pass_shared
def list_(shared: Shared) -> None:
    """List the backups, oldest first."""
    backups = _backups(shared)
    answer = {
        "backups": [_wire(each) for each in backups.list()],
        "unreadable": backups.unreadable(),
        "replaced": [str(each) for each in backups.replaced()],
        "restoring": backups.is_interrupted(),
    }
    shared.show(answer, _show_list)


def _show_list(value: dict[str, Any]) -> None:
    _show.rows([_short(each) for each in value["backups"]], COLUMNS)
    for each in value["unreadable"]:
        click.echo(f"{each} cannot be read: 'backup verify {each}' says why")
    for each in value["replaced"]:
        click.echo(f"{each} holds a damaged database that a restore replaced")
    if value["restoring"]:
        click.echo(INTERRUPTED)


def _short(found: dict[str, Any]) -> dict[str, Any]:
    verified = (found["verified"] or "no").partition("T")[0]
    return {**found, "size": decimal(found["size"]), "verified": verified}


@backup.command()
@click.argument("backup_id", required=False)
@click.option("--all", "every", is_flag=True, help="Verify every backup.")
@pass_shared
def verify(shared: Shared, backup_id: str | None, every: bool) -> None:
    """Look at every byte of a backup; of the newest where none is named."""
    backups = _backups(shared)
    ids = [each.id for each in backups.list()]
    if every:
        _verify_all(shared, sorted({*ids, *backups.unreadable()}))
        return
    sound = backups.verify(backup_id or _newest(ids))
    shared.show({"backups": [_wire(sound)]}, lambda _: click.echo(_sound(sound)))


def _verify_all(shared: Shared, ids: list[str]) -> None:
    """Look at each, whatever is wrong with the one before it.

    Raises:
        Conflict: one of them, or more, cannot be restored.
    """
    sound, refused = [], {}
    for id_ in ids:
        try:
            sound.append(_backups(shared).verify(id_))
        except (BackupInUse, NotFound):
            continue  # it is being pruned
        except Conflict as refusal:
            refused[id_] = refusal.message
    lines = [*map(_sound, sound), *refused.values()]
    answer = {"backups": [_wire(each) for each in sound], "refused": refused}
    shared.show(answer, lambda _: click.echo("\n".join(lines)))
    if refused:
        raise Conflict(f"{len(refused)} of {len(ids)} backups cannot be restored")


def _newest(ids: list[str]) -> str:
    if not ids:
        raise Invalid("there is no backup: make one with 'backup create'", field="backup_id")
    return ids[-1]


def _sound(backup: Backup) -> str:
    return f"backup {backup.id} is as it was written"


@backup.command()
@click.option("--keep-daily", type=click.IntRange(min=0), help="One of each of so many days.")
@click.option("--keep-weekly", type=click.IntRange(min=0), help="One of each of so many weeks.")
@pass_shared
def prune(shared: Shared, keep_daily: int | None, keep_weekly: int | None) -> None:
    """Remove old backups; by default as many as the sidecar would."""
    kept = load_config(shared.home).backup
    gone = _backups(shared).prune(
        kept.keep_daily if keep_daily is None else keep_daily,
        kept.keep_weekly if keep_weekly is None else keep_weekly,
    )
    ids = [each.id for each in gone]
    shared.show({"removed": ids}, lambda _: click.echo("\n".join(ids) or "nothing to remove"))


@backup.command()
@click.argument("backup_id", required=False)
@click.option("--at", help="Bring back this moment: a time, a span such as -2h, or a cursor.")
@pass_shared
def restore(shared: Shared, backup_id: str | None, at: str | None) -> None:
    """Put a backup, or a moment of the past, in the place of what is there.

    What is replaced is kept as a backup.  No sidecar may run.  Folders of projects that the backup
    does not know stay, and src/ is never touched.
    """
    if (backup_id is None) == (at is None):
        raise Invalid("give the id of a backup, or --at and a moment", field="backup_id")
    backups, clock = _backups(shared), WallClock()
    with _bar(shared, "copying the database") as bar:
        if at is not None:
            moment = parse_moment(at, now_us=clock.now_us(), field="--at")
            done = backups.restore_at(moment, progress=bar)
        else:
            done = backups.restore(backup_id or "", progress=bar)
    shared.show(_restored(done), _show.record)


def _restored(done: Restored) -> dict[str, Any]:
    return {
        "restored": done.backup.id,
        "cursor": str(done.cursor),
        "replaced_kept_in": str(done.safety),
        "left_as_they_were": list(done.left),
    }


def _wire(backup: Backup) -> dict[str, Any]:
    manifest, check = backup.manifest, backup.check
    verified = _iso(check.at) if check is not None and check.sound else None
    return {
        "id": backup.id,
        "created_at": _iso(backup.created_at),
        "size": backup.size,
        "seq": backup.seq,
        "epoch": manifest.epoch,
        "schema": manifest.schema,
        "program": manifest.program,
        "reason": backup.reason,
        "verified": "damaged" if backup.damaged else verified,
        "skipped": list(manifest.skipped),
        "folder": str(backup.folder),
    }


def _iso(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // US, UTC).isoformat().replace("+00:00", "Z")


class _Lines:
    """Says how far it is, a line for each quarter: for logs and pipes."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._told = 0

    def __call__(self, done: int, total: int) -> None:
        quarters = done * 4 // max(total, 1)
        if quarters > self._told:
            self._told = quarters
            click.echo(f"{self._what}: {quarters * 25} % of {decimal(total)}", err=True)


class _Bar:
    """Moves a progress bar."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def __call__(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)


@contextmanager
def _bar(shared: Shared, what: str) -> Iterator[_Bar | _Lines | None]:
    """Show how far something is: a bar for people, lines for logs, nothing beside JSON."""
    console = Console(stderr=True)
    if shared.as_json:
        yield None
    elif not console.is_terminal:
        yield _Lines(what)
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            yield _Bar(progress, progress.add_task(what, total=None))
