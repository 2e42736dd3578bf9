"""The policy of confinement, on paper; `test_landlock` asks the kernel."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import attrs
import pytest

from mission_control.actors._confinement import (
    Bounds,
    Confinement,
    LandlockMode,
    hold,
)
from mission_control.actors._landlock import Right, handled, not_held

HOME = Path("/srv/mission")
PROJECT = HOME / "projects" / "p"
BOUNDS = Bounds(
    scope=PROJECT,
    src=PROJECT / "src",
    notes=PROJECT / "agents" / "shuri" / "working.md",
    scratch=Path("/tmp/scratch"),
    private=(HOME,),
)
MAKING = (
    Right.WRITE_FILE
    | Right.TRUNCATE
    | Right.REMOVE_DIR
    | Right.REMOVE_FILE
    | Right.MAKE_CHAR
    | Right.MAKE_DIR
    | Right.MAKE_REG
    | Right.MAKE_SOCK
    | Right.MAKE_FIFO
    | Right.MAKE_BLOCK
    | Right.MAKE_SYM
    | Right.REFER
)


def nothing(folder: Path) -> Iterable[Path]:
    raise AssertionError(f"{folder} holds nothing private")


def granted(bounds: Bounds, path: Path) -> Right:
    """Add up the rights on *path*, as the kernel does."""
    rights = Right(0)
    for grant in bounds.grants(nothing):
        if path.is_relative_to(grant.path):
            rights |= grant.rights
    return rights


@pytest.mark.parametrize(
    "path",
    [
        "/usr/bin/env",
        "/etc/passwd",
        "/tmp/other",
        "/var/tmp/x",
        "/home/somebody/.bashrc",
        PROJECT,
        PROJECT / "KANBAN.md",
        PROJECT / "agents/shuri/SOUL.md",
        PROJECT / "agents/okoye/working.md",
        PROJECT / "daily",
        PROJECT.with_name("q") / "src",
        HOME / "mission-control.db",
    ],
)
def test_nothing_outside_the_sources_and_the_own_notes_can_be_changed(path: str | Path) -> None:
    assert not granted(BOUNDS, Path(path)) & MAKING


@pytest.mark.parametrize(
    "path",
    [
        HOME,
        HOME / "mission-control.token",
        HOME / "mission-control.db",
        HOME / "souls",
        HOME / "projects" / "q" / "KANBAN.md",
        Path("/home/somebody/.ssh/id_ed25519"),
        Path("/root"),
        Path("/tmp/other"),
        Path("/dev/sda"),
        Path("/dev/pts"),
        Path("/dev/pts/0"),
        Path("/run/docker.sock"),
    ],
)
def test_what_nobody_needs_cannot_even_be_read(path: Path) -> None:
    assert not granted(BOUNDS, path)


def test_the_sources_can_be_changed_and_hold_no_links_unless_the_project_allows_them() -> None:
    file = BOUNDS.src / "a" / "b.py"
    for right in (Right.READ_FILE, Right.EXECUTE, Right.WRITE_FILE, Right.MAKE_REG, Right.TRUNCATE):
        assert right in granted(BOUNDS, file)
    assert Right.REFER in granted(BOUNDS, file), "`git mv` renames from folder to folder"
    assert Right.MAKE_SYM not in granted(BOUNDS, file)
    allowed = granted(attrs.evolve(BOUNDS, links=True), file)
    assert Right.MAKE_SYM in allowed
    for never in (Right.MAKE_CHAR, Right.MAKE_BLOCK, Right.MAKE_SOCK, Right.MAKE_FIFO):
        assert never not in allowed


def test_the_notes_can_be_written_and_neither_removed_nor_replaced() -> None:
    rights = granted(BOUNDS, BOUNDS.notes)
    assert Right.WRITE_FILE | Right.READ_FILE | Right.TRUNCATE in rights
    assert not granted(BOUNDS, BOUNDS.notes.parent) & MAKING


def test_no_rule_for_a_place_in_the_project_follows_a_link() -> None:
    ours = [g for g in BOUNDS.grants(nothing) if g.path.is_relative_to(PROJECT)]
    assert {g.path for g in ours} == {BOUNDS.scope, BOUNDS.src, BOUNDS.notes}
    assert not any(g.may_be_link for g in ours)


def test_what_is_granted_around_a_private_folder_leaves_it_out() -> None:
    tree = {
        Path("/srv"): [Path("/srv/mission"), Path("/srv/www"), Path("/srv/git")],
    }
    bounds = attrs.evolve(BOUNDS, read=(Path("/srv"),), write=(HOME / "souls",))
    paths = {grant.path for grant in bounds.grants(lambda folder: tree[folder])}
    assert {Path("/srv/www"), Path("/srv/git")} <= paths
    assert not paths & {Path("/srv"), HOME, HOME / "souls"}


def test_what_only_administrators_see_is_left_out_of_the_project() -> None:
    entries = [PROJECT / name for name in (".secrets", "KANBAN.md", "agents", "src")]
    bounds = attrs.evolve(BOUNDS, secrets=(PROJECT / ".secrets",))
    project = {
        grant.path: grant
        for grant in bounds.grants({PROJECT: entries}.__getitem__)
        if grant.path.is_relative_to(PROJECT)
    }
    assert set(project) == {*entries[1:], BOUNDS.notes}
    assert not any(grant.may_be_link for grant in project.values())


def test_shared_memory_can_be_used_and_not_looked_through() -> None:
    rights = granted(BOUNDS, Path("/dev/shm/object"))
    assert Right.READ_FILE | Right.WRITE_FILE | Right.MAKE_REG | Right.REMOVE_FILE in rights
    assert not rights & (Right.READ_DIR | Right.EXECUTE | Right.MAKE_SYM)


def test_a_home_in_shared_memory_stays_closed() -> None:
    home = Path("/dev/shm/home")
    bounds = attrs.evolve(BOUNDS, private=(home,))
    beside = {Path("/dev/shm"): [home, Path("/dev/shm/other")]}
    paths = {grant.path for grant in bounds.grants(beside.__getitem__)}
    assert Path("/dev/shm/other") in paths
    assert not paths & {Path("/dev/shm"), home}


def test_devices_that_the_settings_open_can_be_told_what_to_do() -> None:
    rights = granted(attrs.evolve(BOUNDS, write=(Path("/dev/pts"),)), Path("/dev/pts/0"))
    assert Right.WRITE_FILE | Right.IOCTL_DEV in rights
    assert Right.MAKE_REG not in rights


@pytest.mark.parametrize(("links", "allowed"), [(("p",), True), (("q",), False), (("*",), True)])
def test_links_are_allowed_by_the_names_of_projects(links: tuple[str, ...], allowed: bool) -> None:
    assert Confinement(links=links).allows_links("p") is allowed


@pytest.mark.parametrize("version", range(1, 9))
def test_each_version_of_the_kernel_is_asked_only_for_what_it_knows(version: int) -> None:
    known = {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)
    assert handled(version) == (1 << known) - 1


def test_what_an_older_kernel_does_not_hold_is_said() -> None:
    assert [len(not_held(version)) for version in range(1, 8)] == [3, 3, 2, 2, 1, 0, 0]
    assert any("cut short" in gap for gap in hold(LandlockMode.AUTO, 2).gaps)


@pytest.mark.parametrize(
    ("mode", "version", "confined", "words"),
    [
        (LandlockMode.AUTO, 6, True, "Landlock, version 6"),
        (LandlockMode.REQUIRED, 1, True, "Landlock, version 1"),
        (LandlockMode.AUTO, 0, False, "has no Landlock"),
        (LandlockMode.REQUIRED, 0, False, "has no Landlock"),
        (LandlockMode.OFF, 6, False, "process.landlock is off"),
    ],
)
def test_it_is_said_how_commands_are_held(
    mode: LandlockMode, version: int, confined: bool, words: str
) -> None:
    found = hold(mode, version)
    assert found.confined is confined
    assert words in found.text
