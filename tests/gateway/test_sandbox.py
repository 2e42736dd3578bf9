"""Which settings of the Gateway let its agents out of their projects."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest

from mission_control.gateway_bridge import Leak, sandbox_leaks

HOME = PurePosixPath("/home/op/.openclaw")
TIGHT: dict[str, Any] = {"mode": "all", "workspaceAccess": "rw", "scope": "session"}


def leaks(config: dict[str, Any], agent: str = "main") -> list[Leak]:
    return list(sandbox_leaks(config, agent, HOME))


def boxed(*, tools: dict[str, Any] | None = None, **box: Any) -> dict[str, Any]:
    return {"agents": {"defaults": {"sandbox": TIGHT | box}}, "tools": tools or {}}


def test_the_gateways_own_defaults_hold_nothing() -> None:
    sandbox, file_tools = leaks({})
    assert sandbox.grave
    assert "'off'" in sandbox.text
    assert not file_tools.grave


@pytest.mark.parametrize("mode", ["all", "non-main"])
def test_a_tight_sandbox_leaks_nothing(mode: str) -> None:
    assert leaks(boxed(mode=mode)) == []


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (boxed(mode="off"), "mode is 'off'"),
        (boxed(mode="unknown"), "mode is 'unknown'"),
        (boxed(workspaceAccess="none"), "does not arrive"),
        (boxed(workspaceAccess="ro"), "does not arrive"),
        (boxed(scope="shared"), "share one sandbox"),
        (boxed(docker={"network": "host"}), "host's network"),
        (boxed(docker={"binds": ["/var/run/docker.sock:/x:rw"]}), "docker.sock"),
        (boxed(docker={"binds": ["/srv/a:/a:ro", "/home/op:/host:ro"]}), "/home/op:"),
        (boxed(docker={"binds": [f"{HOME}:/host:ro"]}), "/home/op/.openclaw:"),
        (boxed(tools={"exec": {"host": "gateway"}}), "outside the sandbox"),
        (boxed(tools={"exec": {"host": "node"}}), "outside the sandbox"),
        (boxed(tools={"elevated": {"enabled": True}}), "elevated"),
    ],
)
def test_each_way_out_is_told_with_its_remedy(config: dict[str, Any], words: str) -> None:
    leak = leaks(config)[0]
    assert leak.grave
    assert words in leak.text
    assert leak.remedy


@pytest.mark.parametrize(
    "config",
    [
        boxed(docker={"network": "none", "binds": ["/srv/projects/p:/p:rw"]}),
        boxed(docker={"binds": [f"{HOME}/projects/p:/p:rw"]}),
        boxed(tools={"exec": {"host": "auto"}, "elevated": {"enabled": False}}),
        boxed(tools={"deny": ["exec"], "exec": {"host": "gateway"}}),
    ],
)
def test_what_lets_nobody_out_is_not_told(config: dict[str, Any]) -> None:
    assert leaks(config) == []


def test_what_is_set_for_the_agent_goes_before_what_is_set_for_all() -> None:
    config = boxed(mode="off")
    config["agents"]["entries"] = {"crew": {"sandbox": {"mode": "all"}}}
    assert leaks(config, "crew") == []
    assert leaks(config, "main")[0].topic == "sandbox"
    config = boxed(docker={"network": "none"})
    config["agents"]["entries"] = {"crew": {"sandbox": {"docker": {"network": "host"}}}}
    assert "host's network" in leaks(config, "crew")[0].text
    config = boxed()
    config["agents"]["entries"] = {"crew": {"tools": {"exec": {"host": "gateway"}}}}
    assert leaks(config, "crew")[0].topic == "exec"


def test_an_agent_that_may_run_no_commands_needs_no_sandbox_for_them() -> None:
    config = {"tools": {"deny": ["group:runtime"], "fs": {"workspaceOnly": True}}}
    assert leaks(config) == []


@pytest.mark.parametrize("junk", [None, 1, "x", [], {"defaults": 1}])
def test_junk_in_the_configuration_counts_as_nothing_set(junk: object) -> None:
    assert leaks({"agents": junk, "tools": junk})[0].topic == "sandbox"
