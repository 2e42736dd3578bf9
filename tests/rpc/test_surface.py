"""The plugin's generated files, and the tools that a model is given."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mission_control.gateway_bridge import Access, _surface
from mission_control.gateway_bridge._table import METHODS
from mission_control.gateway_bridge._tools import IMPLIED, TOOLS
from mission_control.storage import Invalid

TYPES = {"object", "array", "string", "integer", "number", "boolean"}


def test_the_plugin_registers_what_the_sidecar_has() -> None:
    # If this fails: python -m mission_control.gateway_bridge
    assert (_surface.FOLDER / "surface.js").read_text("utf-8") == _surface.surface_js()
    manifest = (_surface.FOLDER / "openclaw.plugin.json").read_text("utf-8")
    assert manifest == _surface.manifest()


def test_the_manifest_names_every_tool() -> None:
    manifest = json.loads(_surface.manifest())
    assert manifest["contracts"]["tools"] == sorted(TOOLS)
    assert sorted(manifest["toolMetadata"]) == sorted(TOOLS)


def test_every_method_is_registered_with_the_scope_that_it_needs() -> None:
    text = _surface.surface_js().partition("METHODS = ")[2].partition(";\n")[0]
    assert json.loads(text) == [
        {"name": name, "scope": row.access.gateway_scope}
        for name, row in sorted(METHODS.items())
        if not row.secret
    ]


def test_what_answers_with_a_secret_is_not_offered_through_the_gateway() -> None:
    secret = {name for name, row in METHODS.items() if row.secret}
    assert secret >= {"mission.token.create", "mission.token.rotate"}
    assert not any(name in _surface.surface_js() for name in secret)
    assert all(METHODS[name].access is Access.ADMIN for name in secret)
    assert not any(METHODS[name].agents for name in secret)


def _check(schema: dict[str, Any]) -> None:
    assert schema["type"] in TYPES
    if "enum" in schema:
        assert schema["enum"]
    if schema["type"] == "array":
        _check(schema["items"])
    if schema["type"] == "object":
        assert set(schema["required"]) <= set(schema["properties"])
        for member in schema["properties"].values():
            _check(member)


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_has_a_schema_and_a_description(name: str) -> None:
    tool = TOOLS[name]
    _check(tool.parameters)
    assert tool.parameters["additionalProperties"] is False
    assert tool.description.endswith(".")
    json.dumps(tool.parameters)


@pytest.mark.parametrize("name", TOOLS)
def test_a_model_need_not_say_who_it_is(name: str) -> None:
    assert not set(TOOLS[name].parameters["required"]) & set(IMPLIED)


@pytest.mark.parametrize(
    "name", [name for name in TOOLS if name not in ("mission_task", "mission_file")]
)
def test_a_tool_means_a_method_that_agents_may_call(name: str) -> None:
    given = {"summary": "x"}
    method, params = TOOLS[name].translate(given)
    assert METHODS[method].agents
    assert params == given


def test_what_to_do_with_a_task_is_said_by_its_action() -> None:
    tool = TOOLS["mission_task"]
    for action in tool.parameters["properties"]["action"]["enum"]:
        given = {"action": action, "task_id": "t1"}
        method, params = tool.translate(given)
        assert method == f"mission.task.{action}"
        assert METHODS[method].agents
        assert params == {"task_id": "t1"}
        assert given == {"action": action, "task_id": "t1"}


@pytest.mark.parametrize("action", [None, "delete", 5, ["list"], {}])
def test_an_unknown_action_is_refused_with_those_that_there_are(action: object) -> None:
    with pytest.raises(Invalid, match="list, get, create, move") as refusal:
        TOOLS["mission_task"].translate({"action": action})
    assert refusal.value.details["field"] == "action"
