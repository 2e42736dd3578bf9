"""A project to work in, with a secret and another project beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from files_corpus import OPENERS
from mission_control.storage.files import (
    Access,
    AgentAccess,
    Limits,
    OperatorAccess,
    Projects,
    Quota,
    Right,
    ScopedFiles,
    Workspace,
)

AGENT = AgentAccess("alpha", "coder")
WRITER = OperatorAccess("alpha", "ann", Right.WRITE)


class Place:
    """Where a test works, and what it may do there."""

    def __init__(self, path: Path, projects: Projects) -> None:
        self.path = path
        self.alpha = path / "alpha"
        self.projects = projects
        self.quota = Quota(Limits())

    def staged(self) -> list[str]:
        return [each.name for each in (self.path / ".staging").iterdir()]


@pytest.fixture(params=OPENERS)
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    path = tmp_path / "projects"
    (path / "alpha" / "src").mkdir(parents=True)
    (path / "alpha" / "agents" / "coder").mkdir(parents=True)
    (path / "alpha" / "KANBAN.md").write_text("the board")
    (path / "beta").mkdir()
    (path / "beta" / "secret.txt").write_text("canary")
    with Projects(path, OPENERS[request.param]) as projects:
        yield Place(path, projects)
        assert not list((path / ".staging").iterdir())


@pytest.fixture
def files(place: Place) -> Iterator[ScopedFiles]:
    """The project, for its agent."""
    yield from _open(place, AGENT)


@pytest.fixture
def all_files(place: Place) -> Iterator[ScopedFiles]:
    """The project, for an operator who may write."""
    yield from _open(place, WRITER)


def _open(place: Place, access: Access) -> Iterator[ScopedFiles]:
    with place.projects.open("alpha") as root:
        yield ScopedFiles(Workspace(root, place.quota), access)
