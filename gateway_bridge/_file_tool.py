"""The agent tool `mission_file`: one tool for all that an agent may do with files."""

from __future__ import annotations

from typing import Any, Final

from ..storage import Invalid
from ._params import json_schema
from ._table import METHODS

ACTIONS: Final = (
    "read",
    "write",
    "append",
    "edit",
    "list",
    "stat",
    "exists",
    "mkdir",
    "move",
    "delete",
    "search",
)

READ_AT_ONCE: Final = 64 * 1024
"""Bytes that a model is given where it does not ask for a number."""

WAIT_S: Final = 20.0
"""The plugin gives a call 30 s: whoever holds a file is named before that."""

_NOT_FOR_MODELS: Final = {"project_id", "wait_s"}


def file_schema() -> dict[str, Any]:
    """Return the JSON schema of the tool's arguments: those of all its methods."""
    properties: dict[str, Any] = {
        "action": {
            "type": "string",
            "enum": list(ACTIONS),
            "description": (
                "What to do with path. You may write in src/ and in your own"
                " agents/<you>/working.md; a read gives at most 64 KiB, and next."
            ),
        }
    }
    for action in ACTIONS:
        of_method = json_schema(METHODS[f"mission.file.{action}"].params)["properties"]
        properties |= {name: of_method[name] for name in of_method if name not in _NOT_FOR_MODELS}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": ["action"],
    }


def file_call(args: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the method that *args* mean, and its parameters.

    Raises:
        Invalid: there is no such action, or a parameter is not the model's to give.
    """
    action = args.get("action")
    if not isinstance(action, str) or action not in ACTIONS:
        raise Invalid(f"action must be one of {', '.join(ACTIONS)}", field="action")
    for name in _NOT_FOR_MODELS & args.keys():
        raise Invalid(f"{name} is not a parameter of this tool", field=name)
    params = {name: value for name, value in args.items() if name != "action"}
    row = METHODS[f"mission.file.{action}"]
    if action == "read" and params.get("length") is None:
        params["length"] = READ_AT_ONCE
    if row.mutates:
        params["wait_s"] = WAIT_S
    return row.name, params
