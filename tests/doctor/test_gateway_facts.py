"""What the doctor concludes from the Gateway's answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mission_control.doctor import Level
from mission_control.doctor import _gateway_facts as facts

INSPECTED: dict[str, Any] = {
    "plugin": {"version": "0.1.0", "enabled": True},
    "grants": {"hooks": {"allowConversationAccess": {"effective": True}}},
}
HEALTH = {"plugins": {"loaded": ["memory-core", "mission-control"]}}


def test_the_version_that_is_tested_is_well_and_another_is_a_hint() -> None:
    assert facts.version("2026.9.6").level is Level.OK
    other = facts.version("2027.1.1")
    assert other.level is Level.HINT
    assert "2027.1.1" in other.text
    assert other.remedy


@pytest.mark.parametrize(("skew_ms", "level"), [(4_000, Level.OK), (-90_000, Level.WARNING)])
def test_clocks_that_differ_are_told(skew_ms: int, level: Level) -> None:
    finding = facts.clock(1_000_000 + skew_ms, 1_000_000)
    assert finding.level is level
    assert level is Level.OK or "90 s" in finding.text


def test_a_full_disk_is_told() -> None:
    assert facts.disk({"diskAvailableBytes": 5 << 30}).level is Level.OK
    assert facts.disk({"diskAvailableBytes": 5 << 20}).level is Level.WARNING
    assert facts.disk({}).level is Level.HINT


def test_a_plugin_of_our_version_is_well() -> None:
    assert facts.plugin(INSPECTED, HEALTH, "0.1.0").level is Level.OK


@pytest.mark.parametrize(
    ("inspected", "health", "level", "words"),
    [
        (None, HEALTH, Level.WARNING, "does not have it"),
        ({"plugin": {"version": "0.1.0", "enabled": False}}, HEALTH, Level.FAULT, "disabled"),
        (INSPECTED, {"plugins": {"loaded": []}}, Level.FAULT, "not loaded"),
        (INSPECTED, {}, Level.FAULT, "not loaded"),
        (
            {"plugin": {"version": "0.0.9", "enabled": True}},
            HEALTH,
            Level.WARNING,
            "0.0.9; the sidecar has 0.1.0",
        ),
    ],
)
def test_a_plugin_that_is_not_as_ours_is_told_with_the_way_to_mend_it(
    inspected: Any, health: Any, level: Level, words: str
) -> None:
    finding = facts.plugin(inspected, health, "0.1.0")
    assert finding.level is level
    assert words in finding.text
    assert "install-plugin" in finding.remedy


def test_a_plugin_that_serves_another_sidecar_or_none_is_told() -> None:
    home = Path("/srv/home")
    assert facts.link("abc.12", "abc", home).level is Level.OK
    other = facts.link("abd.12", "abc", home)
    assert other.level is Level.FAULT
    assert "--home /srv/home install-plugin" in other.remedy
    assert facts.link("None", "", home).level is Level.FAULT
    nobody = facts.no_link("cannot read the token file")
    assert nobody.level is Level.WARNING
    assert "cannot read the token file" in nobody.text


def test_a_prompt_hook_that_is_not_granted_is_told() -> None:
    assert facts.prompt_hook(INSPECTED).level is Level.OK
    assert facts.prompt_hook({"plugin": {}}).level is Level.WARNING


def test_tools_that_an_agent_is_not_offered_are_named() -> None:
    catalog = {"groups": [{"tools": [{"id": "read"}, {"id": "log_event"}]}, {"tools": "junk"}, 3]}
    assert facts.tools(catalog, "main", ["log_event"]).level is Level.OK
    finding = facts.tools(catalog, "main", ["log_event", "request_help"])
    assert finding.level is Level.FAULT
    assert "request_help" in finding.text
    assert "log_event" not in finding.text


def _levels(config: dict[str, Any], agent: str = "main") -> list[tuple[str, Level]]:
    return [(found.topic, found.level) for found in facts.sandbox(config, agent, Path("/mc"))]


def test_a_sandbox_that_is_off_is_a_warning_that_says_what_it_means() -> None:
    (finding, _) = facts.sandbox({}, "main", Path("/mc"))
    assert finding.level is Level.WARNING
    assert "not held inside the project" in finding.text
    assert _levels({})[1] == ("file tools", Level.HINT)


def test_a_sandbox_that_is_on_and_leaks_nothing_is_well() -> None:
    on = {"agents": {"defaults": {"sandbox": {"mode": "all", "workspaceAccess": "rw"}}}}
    assert _levels(on) == [("sandbox", Level.OK)]


def test_an_agent_without_commands_is_well_with_a_hint_for_the_second_fence() -> None:
    config = {"tools": {"deny": ["group:runtime"]}}
    assert _levels(config) == [("file tools", Level.HINT), ("sandbox", Level.OK)]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, True),
        ({"tools": {"exec": {"notifyOnExit": True}}}, True),
        ({"tools": {"exec": {"notifyOnExit": False}}}, False),
        ({"tools": {"deny": ["exec"]}}, False),
        (
            {
                "tools": {"exec": {"notifyOnExit": False}},
                "agents": {"entries": {"main": {"tools": {"exec": {"notifyOnExit": True}}}}},
            },
            True,
        ),
        ({"tools": {"exec": "junk"}}, True),
    ],
)
def test_turns_that_the_gateway_begins_by_itself_are_told_of(
    config: dict[str, Any], told: bool
) -> None:
    findings = list(facts.own_turns(config, "main"))
    assert [finding.level for finding in findings] == [Level.HINT] * told
    assert all("notifyOnExit" in finding.remedy for finding in findings)
