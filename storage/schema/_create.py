"""The next step's file, to be filled in."""

from __future__ import annotations

import os
from pathlib import Path

from .. import migrations
from .._errors import Conflict, Invalid, NotFound
from ._migration import FILE_NAME

MAX_NAME = 50

_TEMPLATE = '''\
"""{title}: say here in a sentence what it is for.

Both scripts are SQL, and each is run in one transaction with the foreign keys off; they are
checked before it commits.  Do not begin or end a transaction in them, nor attach a file.

`ALTER TABLE` adds, drops and renames columns.  For more, rebuild the table, in this order: create
the new one under another name, `INSERT INTO ... SELECT`, drop the old one, rename the new one,
create its indexes and triggers again; drop triggers and views that name it before, and create them
after.  Do not use sqlite-utils' `transform()`: it loses triggers, WITHOUT ROWID, generated columns
and collations without a word.

Keep what the older schema can hold: a rollback is for going back to work, not for starting anew.
Once landed, this file is never edited: databases remember its checksum.
"""

UP = """
"""

# Without a DOWN there is no way back but a backup.
DOWN = """
"""
'''


def create_migration(name: str, folder: Path | None = None) -> Path:
    """Write the file of the next step, and return its path.

    Args:
        name: of small letters, digits and underscores, as `add_estimates`.
        folder: where the steps lie; by default those of the source tree that this program runs
            from.

    Raises:
        Invalid: the name will not do, or the program does not run from a source tree.
        NotFound: there is no such folder.
        Conflict: there is a step of that name.
    """
    folder = _of_the_source_tree() if folder is None else folder
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}: name that of the migrations with --folder")
    numbers = _taken(name, folder)
    stem = f"m{max(numbers, default=0) + 1:04}_{name}"
    if len(name) > MAX_NAME or FILE_NAME.fullmatch(stem) is None:
        raise Invalid(
            f"{name!r} is no name for a migration: use up to {MAX_NAME} small letters, digits and"
            " underscores, a letter first, as add_estimates",
            field="name",
        )
    path = folder / f"{stem}.py"
    title = name.replace("_", " ").capitalize()
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644), "w") as file:
        file.write(_TEMPLATE.format(title=title))
    return path


def _taken(name: str, folder: Path) -> list[int]:
    numbers = []
    for path in folder.glob("m*.py"):
        fitting = FILE_NAME.fullmatch(path.stem)
        if fitting is None:
            continue
        if fitting["word"] == name:
            raise Conflict(f"there is already {path}: choose another name")
        numbers.append(int(fitting["number"]))
    return numbers


def _of_the_source_tree() -> Path:
    folder = Path(migrations.__path__[0]).resolve()
    if not (folder.parents[1] / "pyproject.toml").is_file():
        raise Invalid(
            "this program does not run from a source tree: name the folder of the migrations"
            " with --folder",
            field="folder",
        )
    return folder
