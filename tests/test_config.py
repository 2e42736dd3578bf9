"""Settings: file, environment and flags; what is wrong is named with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mission_control.config import FILE_NAME, NOT_SETTINGS, Config, load_config
from mission_control.default_home import default_home
from mission_control.storage import Invalid


def _refusal(home: Path, text: str = "", **given: Any) -> Invalid:
    (home / FILE_NAME).write_text(text)
    with pytest.raises(Invalid) as refusal:
        load_config(home, given.get("flags"), given.get("environ", {}))
    return refusal.value


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    config = load_config(tmp_path, environ={})
    assert config == Config()
    assert (config.listen.host, config.listen.port) == ("127.0.0.1", 18700)
    assert (config.pulse.interval_s, config.pulse.timeout_s) == (60.0, 300.0)
    assert (config.pulse.max_retries, config.pulse.deadman_s) == (3, 300.0)
    assert (config.pulse.max_running, config.pulse.max_running_per_project) == (8, 4)


def test_flags_stand_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(
        "[pulse]\ninterval_s = 1\ntimeout_s = 2\ndeadman_s = 3.5\n[listen]\nport = 1\n"
    )
    environ = {
        "MISSION_CONTROL_PULSE_TIMEOUT_S": "20",
        "MISSION_CONTROL_PULSE_DEADMAN_S": "30",
        "PATH": "/bin",
    }
    config = load_config(tmp_path, {"pulse": {"deadman_s": 300.0}}, environ)
    pulse = config.pulse
    assert (pulse.interval_s, pulse.timeout_s, pulse.deadman_s) == (1.0, 20.0, 300.0)
    assert config.listen.port == 1


def test_a_command_is_a_list_or_what_one_would_type(tmp_path: Path) -> None:
    for value in ('["echo", "a b"]', "echo 'a b'"):
        environ = {"MISSION_CONTROL_PROCESS_COMMAND": value}
        assert load_config(tmp_path, environ=environ).process.command == ("echo", "a b")


@pytest.mark.parametrize("text", ["007", "true", "null", "[1]"])
def test_what_is_a_text_is_taken_from_the_environment_as_it_stands(
    tmp_path: Path, text: str
) -> None:
    environ = {"MISSION_CONTROL_GATEWAY_TOKEN_FILE": text}
    assert load_config(tmp_path, environ=environ).gateway.token_file == text


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ("[nope]\nx = 1", "nope", "unknown; known are: listen, gateway, process, pulse"),
        ("[listen]\nprot = 1", "listen.prot", "unknown; known are: host, port"),
        ("pulse = 5", "pulse", "must be a table, not 5"),
        ("[listen]\nport = '1'", "listen.port", "must be a whole number, not '1'"),
        ("[listen]\nport = 1.9", "listen.port", "must be a whole number, not 1.9"),
        ("[listen]\nport = 65536", "listen", "'port' must be <= 65535: 65536"),
        ("[listen]\nhost = '0.0.0.0'", "listen", "'host' must be in ('127.0.0.1',"),
        ("[pulse]\ninterval_s = 'x'", "pulse.interval_s", "must be a number, not 'x'"),
        ("[pulse]\ninterval_s = true", "pulse.interval_s", "must be a number, not True"),
        ("[pulse]\ninterval_s = 0", "pulse.interval_s", "must be 0.01 to 1e+09, not 0.0"),
        ("[pulse]\ninterval_s = inf", "pulse.interval_s", "must be 0.01 to 1e+09, not inf"),
        ("[pulse]\ninterval_s = nan", "pulse.interval_s", "must be 0.01 to 1e+09, not nan"),
        ("[pulse]\nmax_running = 0", "pulse.max_running", "must be 1 to 1000, not 0"),
        ("[pulse]\nretry_delay_s = 301", "pulse.retry_delay_s", "must be 0.001 to 300, not 301.0"),
        ("[pulse]\nmax_idle_interval_s = 3601", "pulse.max_idle_interval_s", "0 to 3600, not 3601"),
        ("[process]\ngrace_s = 601", "process.grace_s", "must be 0 to 600, not 601.0"),
        ("[gateway]\nurl = 'http://x'", "gateway", "'url' must match regex"),
        ("[gateway]\ntoken_file = 5", "gateway.token_file", "must be a string, not 5"),
        ("[process]\ncommand = 5", "process.command", "must be a list of strings, not 5"),
        ("[process]\ncommand = [5]", "process.command", "must be a list of strings, not [5]"),
        ("[process]\nlandlock = 'on'", "process", "'landlock' must be in ['auto', 'off',"),
        ("[process]\nprofile = 'aider'", "process", "'profile' must be in ('', 'claude',"),
        ("[process]\nprofile = 'codex'\ncommand = 'x'", "process", "exclude each other"),
        ("[process]\ncommand = '@aider'", "process", "there is no profile 'aider'"),
        ('[process]\ncommand = "it\'s"', "process.command", "No closing quotation"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file_and_what_is_allowed(
    tmp_path: Path, text: str, field: str, said: str
) -> None:
    refusal = _refusal(tmp_path, text)
    assert refusal.details["field"] == field
    assert refusal.message.startswith(f"{tmp_path / FILE_NAME}: {field}: ")
    assert said in refusal.message


@pytest.mark.parametrize("text", ["x = =", "[pulse", "\x00"])
def test_a_file_that_is_no_toml_is_named_with_the_place(tmp_path: Path, text: str) -> None:
    message = _refusal(tmp_path, text).message
    assert FILE_NAME in message
    assert "(at " in message


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"\xff\xfe")
    with pytest.raises(Invalid, match=FILE_NAME):
        load_config(tmp_path, environ={})


def test_a_wrong_variable_is_named_with_the_environment(tmp_path: Path) -> None:
    refusal = _refusal(tmp_path, environ={"MISSION_CONTROL_PULSE_INTERVAL_S": "soon"})
    said = "the environment: pulse.interval_s: must be a number, not 'soon'"
    assert refusal.message == said
    refusal = _refusal(tmp_path, environ={"MISSION_CONTROL_PULSE_INTERVALL_S": "1"})
    assert "pulse.intervall_s: unknown" in refusal.message


def test_a_wrong_flag_is_named_with_the_command_line(tmp_path: Path) -> None:
    refusal = _refusal(tmp_path, flags={"listen": {"port": -1}})
    assert refusal.message == "the command line: listen: 'port' must be >= 0: -1"


def test_a_wrong_value_is_refused_even_where_another_would_cover_it(tmp_path: Path) -> None:
    refusal = _refusal(tmp_path, "[listen]\nport = 'x'", flags={"listen": {"port": 1}})
    assert FILE_NAME in refusal.message


def test_what_agents_are_given_is_not_mistaken_for_a_setting(tmp_path: Path) -> None:
    assert load_config(tmp_path, environ=dict.fromkeys(NOT_SETTINGS, "x")) == Config()


def test_what_actors_need_is_taken_from_the_settings(tmp_path: Path) -> None:
    flags: dict[str, dict[str, Any]] = {
        "process": {"command": ["true"]},
        "gateway": {"agent": "max"},
    }
    settings = load_config(tmp_path, flags, {}).pulse_settings()
    assert (settings.command, settings.gateway_agent) == (("true",), "max")
    assert settings.interval_s == 60.0


def test_the_home_is_the_named_one_then_the_gateways_then_the_users(tmp_path: Path) -> None:
    ours, theirs = str(tmp_path / "ours"), str(tmp_path / "theirs")
    both = {"MISSION_CONTROL_HOME": ours, "OPENCLAW_STATE_DIR": theirs}
    assert default_home(both) == Path(ours)
    assert default_home({"MISSION_CONTROL_HOME": "", "OPENCLAW_STATE_DIR": theirs}) == Path(theirs)
    assert default_home({}) == Path.home() / ".openclaw"
