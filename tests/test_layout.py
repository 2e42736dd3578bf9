"""The package table, the folders and the links must tell one story."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TABLE = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
PARTS = ["actors", "gateway_bridge", "storage", "supervisor"]
PLUGIN = "mission_control.gateway_bridge.plugin"
"""JavaScript: a package to setuptools only."""


def test_every_folder_of_code_is_installed() -> None:
    found = {PLUGIN}
    for top in ("mission_control", *PARTS):
        for init in (ROOT / top).rglob("__init__.py"):
            folder = init.parent.relative_to(ROOT)
            prefix = () if top == "mission_control" else ("mission_control",)
            found.add(".".join((*prefix, *folder.parts)))
    assert found == set(TABLE["packages"])


@pytest.mark.parametrize("part", PARTS)
def test_checkers_see_each_part_inside_the_package(part: str) -> None:
    link = ROOT / "mission_control" / part
    assert link.is_symlink(), "checked out without symlinks: type checkers will be blind"
    assert link.resolve() == ROOT / part


@pytest.mark.parametrize("name", ["mission_control", *(f"mission_control.{p}" for p in PARTS)])
def test_all_names_what_a_part_exports(name: str) -> None:
    module = importlib.import_module(name)
    assert len(module.__all__) == len(set(module.__all__))
    assert all(hasattr(module, each) for each in module.__all__)


def test_no_module_is_long_without_a_reason() -> None:
    for top in ("mission_control", *PARTS):
        for path in (ROOT / top).rglob("*.py"):
            text = path.read_text()
            assert len(text.splitlines()) <= 400 or "Long, because" in text[:1000], path
