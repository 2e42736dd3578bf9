"""The file of the next step."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from mission_control.storage import (
    Conflict,
    Internal,
    Invalid,
    NotFound,
    known_migrations,
    migrations,
)
from mission_control.storage.schema import create_migration
from mission_control.storage.schema._migration import _step

OURS = Path(migrations.__path__[0]).resolve()


def test_the_first_file_is_number_one_and_the_next_one_follows(tmp_path: Path) -> None:
    assert create_migration("first", tmp_path) == tmp_path / "m0001_first.py"
    assert create_migration("add_estimates_2", tmp_path).name == "m0002_add_estimates_2.py"
    (tmp_path / "m0041_far.py").write_text("")
    (tmp_path / "mistake.py").write_text("")
    assert create_migration("next", tmp_path).name == "m0042_next.py"


def test_a_file_is_a_step_once_it_is_filled_in(tmp_path: Path) -> None:
    path = create_migration("add_estimates", tmp_path)
    text = path.read_text()
    # Recorded as applied, an empty step could never be written any more.
    with pytest.raises(Internal, match=r"m0001_add_estimates\.py has an empty UP"):
        _step(_loaded(path))
    path.write_text(text.replace('UP = """\n', 'UP = """\nCREATE TABLE e(a) STRICT;\n'))
    step = _step(_loaded(path))
    assert (step.number, step.name) == (1, "m0001_add_estimates")
    assert step.description.startswith("Add estimates: say here")
    assert step.up.strip() == "CREATE TABLE e(a) STRICT;"
    assert step.down is None


def _loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Big",
        "1st",
        "_a",
        "a-b",
        "a b",
        "a.py",
        "../a",
        "ä",
        "a\n",
        "a/b",
        "x/../m0099_y",
        "a" * 51,
    ],
)
def test_a_name_that_will_not_do_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match="is no name for a migration") as refused:
        create_migration(name, tmp_path)
    assert refused.value.details == {"field": "name"}
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_given_once(tmp_path: Path) -> None:
    path = create_migration("first", tmp_path)
    path.write_text("mine")
    with pytest.raises(Conflict, match=r"m0001_first\.py: choose another name"):
        create_migration("first", tmp_path)
    assert path.read_text() == "mine"


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "nowhere"
    with pytest.raises(NotFound, match="there is no folder"):
        create_migration("first", folder)
    folder.write_text("a file")
    with pytest.raises(NotFound, match="there is no folder"):
        create_migration("first", folder)


def test_by_default_it_lands_among_the_steps_of_the_source_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = known_migrations()[0].name.partition("_")[2]
    with pytest.raises(Conflict, match=str(OURS)):
        create_migration(name)
    monkeypatch.setattr(migrations, "__path__", [str(tmp_path)])
    with pytest.raises(Invalid, match="does not run from a source tree"):
        create_migration("first")
