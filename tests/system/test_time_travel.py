"""`mission-control board --at`: the board as it was, on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from system_command import sidecar

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_board_is_shown_as_it_was_at_a_time_and_at_a_cursor(tmp_path: Path) -> None:
    with sidecar(tmp_path / "home") as running:
        running.do("project", "init", "Past")
        first = running.do("task", "create", "past", "Login page")
        cursor = running.run("--json", "board", "past").json["cursor"]
        second = running.do("task", "create", "past", "Logout")
        running.do("task", "delete", first)
        created = running.run("--json", "task", "get", second).json["task"]["created_at"]

        for at in (cursor, created):
            shown = running.do("board", "past", "--at", at)
            assert ("Login page" in shown, "Logout" in shown) == (True, False)
        assert "Logout" in running.do("board", "past", "--at", "-0s")
        assert running.run("--json", "board", "past", "--at", cursor).json["cursor"] == cursor

        early = running.run("board", "past", "--at", "-1h")
        assert "there was no project 'past' at" in early.refusal
        assert early.code == 66
        assert "of another history" in running.run("board", "past", "--at", "abc.1").refusal
        assert "in the future" in running.run("board", "past", "--at", "9999-01-01").refusal
        assert "such as -2h" in running.run("board", "past", "--at", "tomorrow").refusal
