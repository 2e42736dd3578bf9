"""The agent tools: what a model may call, and which methods that means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from ..storage import Invalid
from . import methods  # noqa: F401 - fills the table
from ._file_tool import file_call, file_schema
from ._params import json_schema
from ._table import METHODS

IMPLIED = ("task_id", "project_id", "agent_id")
"""Parameters that the caller's identity gives where the model leaves them out."""


@attrs.frozen
class Tool:
    """A tool of the plugin."""

    name: str
    description: str
    parameters: dict[str, Any]
    translate: Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]
    """From the model's arguments to a method and its parameters.  Raises Invalid."""


def _of_method(name: str, method: str) -> Tool:
    row = METHODS[method]
    schema = json_schema(row.params)
    required = [field for field in schema["required"] if field not in IMPLIED]
    return Tool(
        name, row.summary, schema | {"required": required}, lambda args: (method, dict(args))
    )


_TASK_ACTIONS = {
    "list": "mission.task.list",
    "get": "mission.task.get",
    "create": "mission.task.create",
    "move": "mission.task.move",
    "hand_off": "mission.task.hand_off",
    "why": "mission.task.why",
}


def _task_schema() -> dict[str, Any]:
    properties: dict[str, Any] = {
        "action": {
            "type": "string",
            "enum": list(_TASK_ACTIONS),
            "description": "What to do. Your own task and project are meant where you name none.",
        }
    }
    for method in _TASK_ACTIONS.values():
        properties |= json_schema(METHODS[method].params)["properties"]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": ["action"],
    }


def _task_call(args: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    action = args.get("action")
    if not isinstance(action, str) or action not in _TASK_ACTIONS:
        raise Invalid(f"action must be one of {', '.join(_TASK_ACTIONS)}", field="action")
    return _TASK_ACTIONS[action], {name: args[name] for name in args if name != "action"}


def _message_schema() -> dict[str, Any]:
    known = json_schema(METHODS["mission.agent.message"].params)["properties"]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: known[name] for name in ("to", "text")},
        "required": ["to", "text"],
    }


TOOLS = {
    tool.name: tool
    for tool in (
        _of_method("distill_memory", "mission.control.distill_memory"),
        _of_method("log_event", "mission.control.log_event"),
        Tool(
            "mission_file",
            "Read and change files of your project: the only way that keeps two agents apart.",
            file_schema(),
            file_call,
        ),
        Tool(
            "mission_message",
            "Send a message to another agent of your project, which is woken to read it.",
            _message_schema(),
            lambda args: ("mission.agent.message", dict(args)),
        ),
        Tool(
            "mission_task",
            "List, read, create, move or hand off tasks of your project's board.",
            _task_schema(),
            _task_call,
        ),
        _of_method("request_help", "mission.control.request_help"),
        _of_method("update_chronicle", "mission.control.update_chronicle"),
    )
}
