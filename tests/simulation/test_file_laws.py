"""The laws of files are broken once on purpose, each in worlds where that comes to light."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from mission_control.actors import FileLedger
from mission_control.storage.files import Access, FileChange, Files, Wanted
from mission_control.storage.files import _access as policy

from . import faults, turns, writing
from .laws import FILES
from .planting import law_broken
from .replacing import replacing

pytestmark = pytest.mark.slow


def test_a_late_change_of_a_file_that_is_made_is_noticed(folder: Path) -> None:
    async def note(self: FileLedger, change: FileChange) -> None:
        await before(attrs.evolve(self, fence=None), change)

    before = FileLedger.note
    assert "it has no attempt" in law_broken(folder, FileLedger, "note", note)


def test_a_change_of_a_file_that_nobody_noted_is_noticed(folder: Path) -> None:
    async def note(self: FileLedger, change: FileChange) -> None:
        if change.operation != "append":
            await before(self, change)

    before = FileLedger.note
    found = law_broken(folder, FileLedger, "note", note)
    assert "holds what nobody had noted" in found or "nobody had noted that" in found


def test_a_change_that_is_made_again_after_a_crash_is_noticed(folder: Path) -> None:
    def forget(self: FileLedger) -> None:
        return

    async def note(self: FileLedger, change: FileChange) -> None:
        await before(attrs.evolve(self, key=None), change)

    before = FileLedger.note
    with (
        replacing(FileLedger, "note", note),
        replacing(faults, "FAULTS", {"cut_at_commit": 1}),
        replacing(faults, "TRAPPED", (FILES,)),
        replacing(writing, "OPERATIONS", {"append": 1}),
        replacing(turns, "ENDS", {"go_on": 1}),
    ):
        found = law_broken(folder, FileLedger, "recall", forget)
    assert "was written twice" in found


def test_a_write_to_what_is_not_the_agents_is_noticed(folder: Path) -> None:
    def anything(access: Access, operation: policy.Operation, names: object) -> None:
        return

    with replacing(writing, "OPERATIONS", {"trespass": 1}):
        found = law_broken(folder, policy, "_check_writable", anything)
    assert " changed " in found


def test_a_write_through_a_link_that_leads_out_is_noticed(folder: Path) -> None:
    async def change(self: Files, access: Access, wanted: Wanted, **params: Any) -> FileChange:
        if "/out/" in wanted.path:
            with (folder / "0/home/projects" / access.project / wanted.path).open("ab") as file:
                file.write(b"more")
        return await before(self, access, wanted, **params)

    before = Files.change
    with replacing(writing, "OPERATIONS", {"trespass": 1}):
        found = law_broken(folder, Files, "change", change)
    assert "outside of all projects" in found
