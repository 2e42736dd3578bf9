"""`mission-control token …`: who may call, and how far."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from ..actors import OPERATOR_NAME
from ..storage import Conflict, Invalid
from . import _show
from ._group import Shared, main, pass_shared

COLUMNS = {"name": "name", "scope": "scope", "created_at": "created", "created_by": "by"}

_out = click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write it into this new file, for its owner only, and do not print it.",
)


@main.group()
def token() -> None:
    """Tokens of people and programs; those of agents come and go with their pulses."""


@token.command()
@click.argument("name")
@click.option("--scope", type=click.Choice(["read", "write", "admin"]), default="read")
@_out
@pass_shared
def create(shared: Shared, name: str, scope: str, out: Path | None) -> None:
    """Give somebody a token of their own; it is shown this once."""
    with _opened(out) as file:
        answer = shared.sidecar.call("mission.token.create", name=name, scope=scope)
        _hand_over(shared, answer, file)


@token.command("list")
@pass_shared
def list_(shared: Shared) -> None:
    """List who has a token, and what it is good for."""
    answer = shared.sidecar.call("mission.token.list")
    shared.show(answer, lambda value: _show.rows(value["tokens"], COLUMNS))


@token.command()
@click.argument("name")
@_out
@pass_shared
def rotate(shared: Shared, name: str, out: Path | None) -> None:
    """Replace somebody's token, or that of the 'operator'; the old one ends now."""
    if name == OPERATOR_NAME and out is not None:
        raise Invalid("the operators' token has its own file, in the home: leave --out away")
    with _opened(out) as file:
        _hand_over(shared, shared.sidecar.call("mission.token.rotate", name=name), file)


@token.command()
@click.argument("name")
@pass_shared
def revoke(shared: Shared, name: str) -> None:
    """Take somebody's token away, and end its connections."""
    answer = shared.sidecar.call("mission.token.revoke", name=name)
    shared.show(answer, lambda value: click.echo(f"{value['name']} has no token any more"))


@contextmanager
def _opened(out: Path | None) -> Iterator[IO[str] | None]:
    """Make the file before the token is: one that cannot be kept would be lost."""
    if out is None:
        yield None
        return
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Conflict(f"{out} exists: name a new file") from None
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            yield file
    except BaseException:  # raised again: an interrupted command leaves no empty file
        out.unlink(missing_ok=True)
        raise


def _hand_over(shared: Shared, answer: dict[str, Any], file: IO[str] | None) -> None:
    if file is not None and "token" in answer:
        file.write(answer.pop("token") + "\n")
        answer["file"] = file.name
    shared.show(answer, _say)


def _say(answer: dict[str, Any]) -> None:
    if "token" in answer:
        click.echo(answer["token"])
    elif "file" in answer:
        click.echo(f"the token of {answer['name']} is in {answer['file']}")
    else:
        click.echo("the operators' new token is in mission-control.token in the home")
