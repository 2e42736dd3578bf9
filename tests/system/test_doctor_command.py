"""`mission-control doctor`, as people run it."""

from __future__ import annotations

from pathlib import Path

import pytest

from system_command import run, sidecar

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_before_the_first_run_it_says_how_to_begin(tmp_path: Path) -> None:
    said = run(tmp_path / "home", "doctor").words
    assert "mission-control run" in said
    assert "--gateway" in said
    assert not (tmp_path / "home").exists()


def test_beside_a_sidecar_all_is_well_and_as_json_each_finding_has_a_level(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with sidecar(home):
        findings = run(home, "--json", "doctor").json
    levels = {finding["topic"]: finding["level"] for finding in findings}
    assert levels["sidecar"] == levels["database"] == levels["home"] == "ok"
    assert all(finding["remedy"] for finding in findings if finding["level"] != "ok")


def test_a_gateway_that_is_not_there_is_a_fault_and_the_exit_code_says_so(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t")
    ended = run(
        tmp_path / "home",
        "doctor",
        "--gateway",
        "ws://127.0.0.1:9",
        "--token-file",
        str(token),
    )
    assert ended.code == 1
    assert "is it running?" in ended.out


def test_a_wrong_setting_is_a_finding_and_no_traceback(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "mission-control.toml").write_text("[pulse]\nintervall_s = 3\n")
    ended = run(home, "doctor")
    assert ended.code == 1
    assert "intervall_s" in ended.out
    assert ended.err == ""
