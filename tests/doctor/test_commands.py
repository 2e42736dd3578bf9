"""What the doctor says of local commands."""

from __future__ import annotations

import pytest

from mission_control.actors import LandlockMode, hold
from mission_control.config import ProcessSettings
from mission_control.doctor import Level, examine_commands
from mission_control.doctor._commands import confined


@pytest.mark.parametrize(
    ("mode", "version", "level", "words"),
    [
        (LandlockMode.AUTO, 7, Level.OK, "held inside"),
        (LandlockMode.AUTO, 5, Level.WARNING, "may still send signals"),
        (LandlockMode.AUTO, 2, Level.WARNING, "cut short any file"),
        (LandlockMode.AUTO, 0, Level.WARNING, "has no Landlock"),
        (LandlockMode.OFF, 7, Level.WARNING, "process.landlock is off"),
        (LandlockMode.REQUIRED, 0, Level.FAULT, "has no Landlock"),
        (LandlockMode.REQUIRED, 7, Level.OK, "held inside"),
    ],
)
def test_what_holds_commands_is_told_with_what_it_does_not_hold(
    mode: LandlockMode, version: int, level: Level, words: str
) -> None:
    finding = confined(hold(mode, version), required=mode is LandlockMode.REQUIRED)
    assert finding.level is level
    assert words in finding.text
    assert (finding.remedy == "") is (level is Level.OK)


def test_a_command_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    (_, missing) = examine_commands(ProcessSettings(profile="claude"))
    assert missing.text == "claude is not found on this PATH"
    (_, other) = examine_commands(ProcessSettings(command=("no-such", "x")))
    assert "no-such" in other.text
    assert len(list(examine_commands(ProcessSettings()))) == 1
    assert len(list(examine_commands(ProcessSettings(command=("/bin/sh",))))) == 1
