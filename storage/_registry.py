"""The commands by their names: how one is written down, and made again from that."""

from __future__ import annotations

from typing import Any, TypeVar

import cattrs

from ._errors import Invalid
from ._transaction import Command

C = TypeVar("C", bound=Command[Any])

COMMANDS: dict[str, type[Command[Any]]] = {}
"""Every command that may be kept or sent.  A name that has been used is not given to another."""

_converter = cattrs.Converter(forbid_extra_keys=True)


def register(command: type[C]) -> type[C]:
    """Enter a class under its name.

    Raises:
        ValueError: another has that name.
    """
    name = command.__name__
    if name in COMMANDS:
        raise ValueError(f"two commands are called {name}: give one of them another name")
    COMMANDS[name] = command
    return command


def name_of(command: Command[Any]) -> str:
    """Return the registered name of a command.

    Raises:
        LookupError: its class is not registered.
    """
    name = type(command).__name__
    if COMMANDS.get(name) is not type(command):
        raise LookupError(f"{type(command).__qualname__} is not registered: decorate it")
    return name


def fields_of(command: Command[Any]) -> dict[str, Any]:
    """Return what :func:`make_command` makes the same command of; all of it is JSON."""
    fields: dict[str, Any] = _converter.unstructure(command)
    return fields


def make_command(name: str, fields: dict[str, Any]) -> Command[Any]:
    """Make the command that :func:`name_of` and :func:`fields_of` told of.

    Raises:
        Invalid: there is no such command, or it has not these fields.
    """
    if name not in COMMANDS:
        raise Invalid(f"there is no command {name!r}", field="command")
    try:
        return _converter.structure(fields, COMMANDS[name])
    except cattrs.BaseValidationError as error:
        problems = "; ".join(cattrs.transform_error(error))
        raise Invalid(f"not the fields of {name}: {problems}", field="command") from error
