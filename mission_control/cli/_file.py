"""`mission-control file …`: the files of a project, as its agents and operators may use them."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from ..storage.files import Reason, refusal
from . import _show
from ._group import Shared, main, pass_shared

C = TypeVar("C", bound=Callable[..., Any])

AT_ONCE: Final = 1 << 20
"""Bytes that one call reads."""
MOST: Final = 3 << 20
"""Bytes that one call writes: in base64 they are what one message may hold."""

ENTRY_COLUMNS = {"kind": "kind", "size": "size", "modified_at": "modified", "name": "name"}
LOCK_COLUMNS = {"path": "file", "holder": "held by", "held_s": "for s", "queue": "then"}
MATCH_COLUMNS = {"path": "file", "line": "line", "text": "text"}


def _of_project(command: C) -> C:
    return click.option(
        "--project",
        "project_id",
        envvar="MISSION_CONTROL_PROJECT_ID",
        required=True,
        help="Whose files; inside a pulse the agent's own.",
    )(command)


def _expecting(command: C) -> C:
    return click.option(
        "--expected-sha256", metavar="SHA256|absent", help="Only if the file is still this one."
    )(command)


def _changing(command: C) -> C:
    """Give a command the options of all that change something."""
    keyed = click.option("--key", "idempotency_key", help="Do it once, however often it is asked.")(
        command
    )
    patient = click.option(
        "--wait", "wait_s", type=float, help="For others, in seconds; 30 by default."
    )(keyed)
    return _of_project(patient)


@main.group()
def file() -> None:
    """Files of a project: read, write, search.  Paths are relative to the project."""


@file.command()
@click.argument("path")
@click.option("--offset", type=int, default=0, help="Where to begin, in bytes.")
@click.option("--length", type=int, help="How many bytes; to the end by default.")
@_of_project
@pass_shared
def read(shared: Shared, path: str, offset: int, length: int | None, project_id: str) -> None:
    """Print a file, byte for byte."""
    out = sys.stdout.buffer
    at, end = offset, None if length is None else offset + length
    while True:
        wanted = AT_ONCE if end is None else min(AT_ONCE, end - at)
        part = shared.sidecar.call(
            "mission.file.read",
            project_id=project_id,
            path=path,
            offset=at,
            length=wanted,
            encoding="base64",
        )
        out.write(base64.b64decode(part["content"]))
        at = part["next"]
        if at is None or at == end:
            break
    out.flush()


@file.command()
@click.argument("path")
@_expecting
@click.option("--no-overwrite", is_flag=True, help="Refuse if there is such a file.")
@_changing
@pass_shared
def write(shared: Shared, /, path: str, *, no_overwrite: bool, **params: object) -> None:
    """Make a file hold what comes on standard input."""
    _with_input(shared, "write", path, overwrite=False if no_overwrite else None, **params)


@file.command()
@click.argument("path")
@_changing
@pass_shared
def append(shared: Shared, /, path: str, **params: object) -> None:
    """Add what comes on standard input to the end of a file."""
    _with_input(shared, "append", path, **params)


def _with_input(shared: Shared, method: str, path: str, **params: Any) -> None:
    data = sys.stdin.buffer.read(MOST + 1)
    if len(data) > MOST:
        raise refusal(
            Reason.TOO_LARGE, f"one call writes {MOST} bytes at most: append the rest in parts"
        )
    answer = shared.sidecar.call(
        f"mission.file.{method}",
        path=path,
        content=base64.b64encode(data).decode(),
        encoding="base64",
        **params,
    )
    shared.show(answer, _show.record)


@file.command()
@click.argument("path")
@click.option("--old", required=True, help="The exact text, which occurs once.")
@click.option("--new", required=True, help="What stands there instead.")
@click.option("--everywhere", is_flag=True, help="However often it occurs.")
@_expecting
@_changing
@pass_shared
def edit(shared: Shared, /, **params: object) -> None:
    """Replace an exact piece of a file."""
    shared.show(shared.sidecar.call("mission.file.edit", **params), _show.record)


@file.command()
@click.argument("path", default=".")
@_of_project
@pass_shared
def ls(shared: Shared, /, **params: object) -> None:
    """List a folder."""
    answer = shared.sidecar.call("mission.file.list", **params)
    shared.show(answer, lambda value: _show.rows(value["entries"], ENTRY_COLUMNS))


@file.command()
@click.argument("path")
@_of_project
@pass_shared
def stat(shared: Shared, /, **params: object) -> None:
    """Show what a path is, how large, and when it was changed."""
    shared.show(shared.sidecar.call("mission.file.stat", **params), _show.record)


@file.command()
@click.argument("path")
@_of_project
@pass_shared
def exists(shared: Shared, /, **params: object) -> None:
    """Say whether there is a file or folder."""
    answer = shared.sidecar.call("mission.file.exists", **params)
    shared.show(answer, lambda value: click.echo("yes" if value["exists"] else "no"))


@file.command()
@click.argument("text")
@click.argument("path", default=".")
@click.option("--glob", help="Names of the files to look into, as '*.py'.")
@click.option("-i", "--ignore-case", is_flag=True)
@_of_project
@pass_shared
def search(shared: Shared, /, **params: object) -> None:
    """Find the lines that hold a text, below a folder."""
    answer = shared.sidecar.call("mission.file.search", **params)
    shared.show(answer, lambda value: _show.rows(value["matches"], MATCH_COLUMNS))
    if not answer["complete"]:
        click.echo("there are more: search in a folder of it, or with --glob", err=True)


@file.command()
@click.argument("path")
@click.option("-p", "--parents", is_flag=True, help="Make those above it too.")
@_changing
@pass_shared
def mkdir(shared: Shared, /, **params: object) -> None:
    """Make a folder."""
    shared.show(shared.sidecar.call("mission.file.mkdir", **params), _show.record)


@file.command()
@click.argument("path")
@click.argument("target")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@_changing
@pass_shared
def mv(shared: Shared, /, **params: object) -> None:
    """Rename a file or folder."""
    shared.show(shared.sidecar.call("mission.file.move", **params), _show.record)


@file.command()
@click.argument("path")
@click.option("-r", "--recursive", is_flag=True, help="A folder with all that is in it.")
@_changing
@pass_shared
def rm(shared: Shared, /, **params: object) -> None:
    """Delete a file, a folder, or a link."""
    shared.show(shared.sidecar.call("mission.file.delete", **params), _show.record)


@file.command()
@_of_project
@pass_shared
def locks(shared: Shared, project_id: str) -> None:
    """Show which files are being changed now, by whom, and who waits."""
    answer = shared.sidecar.call("mission.lock.list", project_id=project_id)
    shared.show(answer, lambda value: _show.rows(value["locks"], LOCK_COLUMNS))
