"""The plugin's way into OpenClaw: by a fake of its command line, then by the real one."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from mission_control.gateway_bridge._install import (
    InstallReport,
    install_plugin,
    uninstall_plugin,
)
from mission_control.storage import Invalid, Unavailable
from openclaw_paths import OpenClaw, find_openclaw

URL = "ws://127.0.0.1:18700/bridge"

FAKE_OPENCLAW = """
import json, os, pathlib, sys

folder = pathlib.Path(os.environ["FAKE_OPENCLAW"])
step = sys.argv[2]
seen = {"argv": sys.argv[1:], "stdin": sys.stdin.read()}
if step == "install":
    source = pathlib.Path(sys.argv[3])
    seen["modes"] = {p.name: p.stat().st_mode for p in [source, *source.iterdir()]}
with (folder / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps(seen) + "\\n")
answer = json.loads((folder / "answers.json").read_text()).get(step, {})
print(answer.get("stdout", ""))
print(answer.get("stderr", ""), file=sys.stderr)
sys.exit(answer.get("code", 0))
"""

LOADED: dict[str, Any] = {
    "plugin": {"version": "0.1.0", "status": "loaded", "toolNames": ["log_event"]},
    "gatewayMethods": ["mission.task.list"],
    "diagnostics": [{"level": "warn", "message": "a provenance warning"}],
}


@attrs.frozen
class FakeOpenClaw:
    """Answers each step as told, and remembers how it was called."""

    folder: Path

    @property
    def argv(self) -> tuple[str, str]:
        return sys.executable, str(self.folder / "openclaw.py")

    @property
    def env(self) -> dict[str, str]:
        return {"FAKE_OPENCLAW": str(self.folder)}

    def answer(self, **steps: Mapping[str, object]) -> None:
        (self.folder / "answers.json").write_text(json.dumps(steps))

    def calls(self) -> list[dict[str, Any]]:
        text = (self.folder / "calls.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def install(self) -> InstallReport:
        return install_plugin(self.argv, url=URL, token_file=Path("/srv/t"), env=self.env)


@pytest.fixture
def fake(tmp_path: Path) -> FakeOpenClaw:
    (tmp_path / "openclaw.py").write_text(FAKE_OPENCLAW)
    openclaw = FakeOpenClaw(tmp_path)
    openclaw.answer(inspect={"stdout": json.dumps(LOADED)})
    return openclaw


def test_an_installation_copies_configures_and_verifies(fake: FakeOpenClaw) -> None:
    report = fake.install()
    assert report == InstallReport("0.1.0", ("mission.task.list",), ("log_event",))
    install, configure, inspect = fake.calls()
    assert install["argv"][:2] == ["plugins", "install"]
    assert install["argv"][3:] == ["--force", "--accept-capabilities"]
    assert configure["argv"] == ["config", "patch", "--stdin"]
    assert json.loads(configure["stdin"])["plugins"]["entries"] == {
        "mission-control": {
            "enabled": True,
            "config": {"url": URL, "tokenFile": "/srv/t", "spawn": None},
            "hooks": {"allowConversationAccess": True},
        }
    }
    assert inspect["argv"] == ["plugins", "inspect", "mission-control", "--runtime", "--json"]


def test_the_copy_is_one_that_openclaw_accepts_and_is_gone_afterwards(fake: FakeOpenClaw) -> None:
    fake.install()
    install = fake.calls()[0]
    modes = {name: stat.S_IMODE(mode) for name, mode in install["modes"].items()}
    folder = Path(install["argv"][2])
    assert modes.pop(folder.name) == 0o755
    assert set(modes.values()) == {0o644}
    assert {"index.js", "surface.js", "package.json", "openclaw.plugin.json"} <= set(modes)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ("install", "installing the plugin: OpenClaw refused (no consent): mend that"),
        ("patch", "configuring the plugin: OpenClaw refused (no consent): mend that"),
        ("inspect", "loading the plugin: OpenClaw refused (no consent): mend that"),
    ],
)
def test_a_refusal_names_the_step_and_the_last_line(
    fake: FakeOpenClaw, step: str, complaint: str
) -> None:
    fake.answer(**{step: {"stdout": "hello\n", "stderr": "warning\nno consent\n", "code": 1}})
    with pytest.raises(Unavailable) as caught:
        fake.install()
    assert caught.value.message.startswith(complaint)
    assert "\n" not in caught.value.message


def test_of_a_crashed_node_the_exception_is_shown(fake: FakeOpenClaw) -> None:
    crash = "  throw err;\nError: Cannot find module '/x'\n    at f (a.js:1)\n}\n\nNode.js v24.21.0"
    fake.answer(install={"stderr": crash, "code": 1})
    with pytest.raises(Unavailable, match=r"Cannot find module '/x'\): mend"):
        fake.install()


def test_a_plugin_that_openclaw_does_not_load_is_not_a_success(fake: FakeOpenClaw) -> None:
    disabled = {"plugin": {**LOADED["plugin"], "status": "disabled", "error": "plugins disabled"}}
    fake.answer(inspect={"stdout": json.dumps({**LOADED, **disabled})})
    with pytest.raises(Unavailable, match=r"does not load it \(plugins disabled\).*plugins\.allow"):
        fake.install()


def test_a_method_that_another_plugin_has_is_not_a_success(fake: FakeOpenClaw) -> None:
    taken = {"level": "error", "message": "gateway method already registered: mission.task.list"}
    fake.answer(inspect={"stdout": json.dumps({**LOADED, "diagnostics": [taken]})})
    with pytest.raises(Unavailable, match=r"already registered: mission\.task\.list"):
        fake.install()


def test_an_answer_that_cannot_be_read_is_said_so(fake: FakeOpenClaw) -> None:
    fake.answer(inspect={"stdout": "Mission Control: loaded"})
    with pytest.raises(Unavailable, match="cannot be read"):
        fake.install()


def test_a_command_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    missing = str(tmp_path / "openclaw")
    with pytest.raises(Unavailable, match=r"openclaw cannot be run .*: install OpenClaw"):
        install_plugin((missing,), url=URL, token_file=Path("/srv/t"))


@pytest.mark.parametrize("url", ["ws://example.org/bridge", "http://127.0.0.1/", ""])
def test_an_address_off_loopback_is_refused_before_anything_runs(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        install_plugin(("/nonexistent",), url=url, token_file=Path("/srv/t"))
    assert caught.value.details == {"field": "url"}


def test_a_relative_token_file_is_refused_before_anything_runs() -> None:
    with pytest.raises(Invalid) as caught:
        install_plugin(("/nonexistent",), url=URL, token_file=Path("token"))
    assert caught.value.details == {"field": "token_file"}


def test_removing_what_is_not_there_is_no_failure(fake: FakeOpenClaw) -> None:
    missing = {"ok": False, "error": {"message": "Plugin not found: mission-control. Run …"}}
    fake.answer(
        uninstall={"stderr": "not associated with a tracked package install", "code": 1},
        inspect={"stdout": json.dumps(missing), "code": 1},
    )
    assert uninstall_plugin(fake.argv, env=fake.env) is False


def test_a_removal_that_fails_is_a_failure(fake: FakeOpenClaw) -> None:
    fake.answer(uninstall={"stderr": "config is read-only", "code": 1})
    with pytest.raises(Unavailable, match=r"removing the plugin: .*\(config is read-only\)"):
        uninstall_plugin(fake.argv, env=fake.env)


USERS_SETTINGS = {
    "gateway": {"mode": "local", "bind": "loopback", "auth": {"mode": "token", "token": "dummy"}},
    "tools": {"deny": ["exec"]},
    "plugins": {
        "enabled": True,
        "allow": ["telegram"],
        "slots": {"memory": "none"},
        "entries": {"mission-control": {"config": {"connectGraceMs": 500}}},
    },
}


@attrs.frozen
class RealOpenClaw:
    """The real command on a state of its own, with no Gateway running."""

    root: Path
    installed: OpenClaw

    @property
    def argv(self) -> tuple[str, str]:
        return self.installed.argv

    @property
    def config(self) -> Path:
        # In a folder of its own: OpenClaw makes that folder private.
        return self.root / "config" / "openclaw.json"

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": f"{self.installed.node.parent}{os.pathsep}{os.defpath}",
            "HOME": str(self.root / "home"),
            "OPENCLAW_STATE_DIR": str(self.root / "state"),
            "OPENCLAW_CONFIG_PATH": str(self.config),
            "OPENCLAW_NO_RESPAWN": "1",
            "OPENCLAW_NO_AUTO_UPDATE": "1",
            "OPENCLAW_DISABLE_BONJOUR": "1",
            "DO_NOT_TRACK": "1",
            "NO_COLOR": "1",
        }

    def settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = json.loads(self.config.read_text())
        settings.pop("meta", None)
        return settings


@pytest.fixture
def real(tmp_path: Path) -> RealOpenClaw:
    openclaw = RealOpenClaw(tmp_path, find_openclaw())
    for folder in ("config", "home", "state"):
        (tmp_path / folder).mkdir()
    openclaw.config.write_text(json.dumps(USERS_SETTINGS))
    return openclaw


@pytest.mark.slow
@pytest.mark.openclaw
@pytest.mark.timeout(600)
def test_openclaw_takes_the_plugin_twice_keeps_the_users_settings_and_lets_it_go(
    real: RealOpenClaw,
) -> None:
    first = install_plugin(real.argv, url=URL, token_file=real.root / "old", env=real.env)
    token_file = real.root / "bridge.token"
    again = install_plugin(real.argv, url=URL, token_file=token_file, env=real.env)
    assert again == first
    assert "mission.task.list" in first.methods
    assert "log_event" in first.tools

    settings = real.settings()
    plugins = settings["plugins"]
    assert {"gateway", "tools"} <= settings.keys()
    assert settings["tools"] == USERS_SETTINGS["tools"]
    assert settings["gateway"] == USERS_SETTINGS["gateway"]
    assert plugins["allow"] == ["telegram", "mission-control"]
    assert plugins["slots"] == {"memory": "none"}
    assert plugins["entries"]["mission-control"] == {
        "enabled": True,
        "config": {"url": URL, "tokenFile": str(token_file), "connectGraceMs": 500},
        "hooks": {"allowConversationAccess": True},
    }

    assert uninstall_plugin(real.argv, env=real.env) is True
    assert real.settings()["plugins"]["allow"] == ["telegram"]
    assert real.settings()["tools"] == USERS_SETTINGS["tools"]
    assert not (real.root / "state" / "extensions" / "mission-control").exists()
    assert uninstall_plugin(real.argv, env=real.env) is False


@pytest.mark.slow
@pytest.mark.openclaw
@pytest.mark.timeout(400)
def test_a_gateway_that_has_plugins_switched_off_is_said_so(real: RealOpenClaw) -> None:
    real.config.write_text(json.dumps({"plugins": {"enabled": False}}))
    with pytest.raises(Unavailable, match=r"does not load it \(plugins disabled\)"):
        install_plugin(real.argv, url=URL, token_file=real.root / "bridge.token", env=real.env)
