"""The laws of projects and of what agents hear are broken once on purpose."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mission_control.actors import _brief as brief
from mission_control.actors import _deletion as deletion
from mission_control.actors import _mirrors as mirrors
from mission_control.actors import _templates as templates
from mission_control.actors._deletion import Deletions
from mission_control.actors._mirrors import Mirrors
from mission_control.actors._template import Template
from mission_control.storage import Change, Message, Reads, Transaction
from mission_control.storage.backups import Backups
from mission_control.storage.commands import memory, projects, tasks

from . import faults, owners, people, turns, world
from .planting import law_broken
from .replacing import replacing

pytestmark = pytest.mark.slow


def test_a_folder_that_outlives_its_project_is_noticed(folder: Path) -> None:
    def leave(folder: Path, archive: Path | None) -> None:
        return

    with replacing(owners, "CHANGES", {"demolish": 1}):
        found = law_broken(folder, deletion, "_put_away", leave)
    assert "its folder is still there" in found


def test_an_archive_that_is_not_made_is_noticed(folder: Path) -> None:
    def leave(folder: Path, archive: Path) -> None:
        return

    with replacing(owners, "CHANGES", {"demolish": 1}):
        found = law_broken(folder, deletion, "pack_folder", leave)
    assert "no archive of its folder" in found


def test_a_deletion_that_is_forgotten_after_a_crash_is_noticed(folder: Path) -> None:
    async def forget(self: Deletions) -> None:
        return

    with (
        replacing(owners, "CHANGES", {"demolish": 1}),
        replacing(faults, "FAULTS", {"cut_at_commit": 1}),
        replacing(faults, "TRAPPED", ("projects",)),
        replacing(faults, "TRAP_S", 86_400.0),
        replacing(world, "QUIET_S", 7_200.0),
    ):
        found = law_broken(folder, Deletions, "_go_on", forget)
    assert "forgotten: the deletion" in found


def test_an_attempt_in_a_project_at_rest_is_noticed(folder: Path) -> None:
    def at_rest(tx: Transaction, project_id: str) -> None:
        return

    with (
        replacing(people, "DEEDS", {"create": 2, "archive": 1, "restore": 1}),
        replacing(faults, "FAULTS", {"lose_host": 1}),
    ):
        found = law_broken(folder, projects, "require_rest", at_rest)
    assert "put away" in found


def test_somebody_who_is_called_and_hears_nothing_is_noticed(folder: Path) -> None:
    def deaf(tx: Transaction, saying: object) -> None:
        return

    found = law_broken(folder, memory, "call_mentioned", deaf)
    assert "was called and not told" in found


def test_a_task_that_is_handed_over_without_a_word_is_noticed(folder: Path) -> None:
    def lose(tx: Transaction, project_id: str, to_agent: str, text: str) -> Message:
        return Message(tx.new_id(), project_id, to_agent, tx.actor, text, None, tx.at)

    with replacing(turns, "ENDS", {"hand_off": 1}):
        found = law_broken(folder, tasks, "send", lose)
    assert "was called and not told" in found


def test_a_template_that_should_be_refused_is_noticed(folder: Path) -> None:
    def as_it_is(text: str, where: str) -> Template:
        return Template(text, (text,))

    with replacing(owners, "CHANGES", {"template": 1}):
        found = law_broken(folder, templates, "parse_template", as_it_is)
    assert "is not told of" in found or "a template that was refused" in found


def test_a_soul_that_is_not_upgraded_is_noticed(folder: Path) -> None:
    def remember(path: Path) -> str:
        return texts.setdefault(path, before(path))

    texts: dict[Path, str] = {}
    before = brief._text
    with replacing(owners, "CHANGES", {"upgrade": 1}):
        found = law_broken(folder, brief, "_text", remember)
    assert "was installed before" in found


def test_a_restore_that_is_not_as_the_backup_was_is_noticed(folder: Path) -> None:
    def restore(self: Backups, backup_id: str) -> Any:
        restored = before(self, backup_id)
        with closing(sqlite3.connect(self.folder.parents[1] / "mission-control.db")) as database:
            database.execute("UPDATE agents SET slot = slot + 100")
            database.commit()
        return restored

    before = Backups.restore
    with (
        replacing(faults, "FAULTS", {"go_back": 1}),
        replacing(owners, "CHANGES", {"back_up": 1}),
    ):
        found = law_broken(folder, Backups, "restore", restore)
    assert "not what the log says" in found


def test_a_task_that_is_not_on_the_board_is_noticed(folder: Path) -> None:
    def nothing(self: Mirrors, reads: Reads, after: int, *, check: bool = False) -> int:
        return reads.last_seq()

    assert "not on the board" in law_broken(folder, Mirrors, "render", nothing)


def test_a_mirror_that_stays_out_of_date_is_noticed(folder: Path) -> None:
    def unless_told(change: Change) -> tuple[str, ...]:
        return () if change.entity == "messages" else before(change)

    before = mirrors._touched
    with (
        replacing(people, "DEEDS", {"message": 1}),
        replacing(faults, "FAULTS", {"set_clock": 1}),
        replacing(world, "QUIET_S", 7_200.0),
    ):
        found = law_broken(folder, mirrors, "_touched", unless_told)
    assert "is out of date" in found
