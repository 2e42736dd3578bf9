"""Plants known mistakes in copies of supervisor/; its tests must fail on each.

Run as `python tests/mutants/run.py [PART OF A NAME]`.  Ends with 1 if a mutant survives, if it
can no longer be planted, or if the tests fail without one.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[2]
MUTANTS = Path(__file__).with_name("mutants.toml")
AT_ONCE = 2
PATIENCE = 120
"""Seconds; a run that takes longer hangs, which is as good as a failure."""
FIRST = ["strategies", "restart", "admin", "start", "stop"]
"""The tests that most mutants fail: run before the others."""
NOT_RUN = {"test_model.py", "test_portal.py", "test_guest.py"}
"""The cases alone must do: the model is the second opinion, and hosts are about threads."""


@attrs.frozen
class Mutant:
    """A text that stands once in supervisor/, and what it is replaced by."""

    name: str
    old: str
    new: str


class NotPlantedError(Exception):
    """The text is not there, or there more than once."""


def main(wanted: str) -> int:
    """Run all mutants whose name has *wanted* in it, and print a table."""
    table = tomllib.loads(MUTANTS.read_text())["mutant"]
    mutants = [Mutant(**row) for row in table if wanted in row["name"]]
    # Where we run in the background SIGINT is ignored, and a test that sends one would fail.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    healthy = judge(None)
    if healthy != "SURVIVED":
        say(f"{healthy}, without a mutant")
        return 1
    with ThreadPoolExecutor(AT_ONCE) as pool:
        verdicts = []
        for mutant, verdict in zip(mutants, pool.map(judge, mutants), strict=True):
            say(f"{mutant.name:78} {verdict}")
            verdicts.append(verdict)
    bad = sum(not verdict.startswith("killed") for verdict in verdicts)
    say(f"{len(verdicts)} mutants, {bad} not killed")
    return 1 if bad else 0


def say(line: str) -> None:
    """Print *line* at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def judge(mutant: Mutant | None) -> str:
    """Say what becomes of the tests with *mutant* in."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy_to(Path(folder))
        if mutant is not None:
            try:
                plant(mutant, Path(folder) / "supervisor")
            except NotPlantedError as error:
                return str(error)
        return run_tests(Path(folder))


def copy_to(folder: Path) -> None:
    """Make a project of the supervisor and its tests alone, which hides the installed one."""
    parts = ["supervisor", "tests/supervisor", "tests/support"]
    for part in parts:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    package = folder / "mission_control"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "supervisor").symlink_to("../supervisor")


def plant(mutant: Mutant, supervisor: Path) -> None:
    """Replace the mutant's text in the one module that has it."""
    old, new = mutant.old.strip("\n"), mutant.new.strip("\n")
    texts = {path: path.read_text() for path in supervisor.glob("*.py")}
    count = sum(text.count(old) for text in texts.values())
    if count != 1:
        raise NotPlantedError(f"FOUND {count}x")
    path, text = next((path, text) for path, text in texts.items() if old in text)
    changed = text.replace(old, new)
    compile(changed, path, "exec")
    path.write_text(changed)


def run_tests(folder: Path) -> str:
    """Run the tests up to the first that fails."""
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    options = ["-q", "-x", "-p", "no:cacheprovider", "--timeout", "30"]
    command = [sys.executable, "-m", "pytest", *options, *tests_in(folder)]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "killed by patience"
    match done.returncode:
        case 0:
            return "SURVIVED"
        case 1:
            failed = re.search(r"^(?:FAILED|ERROR) \S+::(\w+)", done.stdout, re.MULTILINE)
            return f"killed by {failed[1] if failed else '?'}"
        case _:
            say(done.stdout[-3000:])
            return "BROKEN"


def tests_in(folder: Path) -> Iterator[str]:
    """Yield the test modules, those first that fail most often."""
    names = {path.name for path in (folder / "tests" / "supervisor").glob("test_*.py")} - NOT_RUN
    first = [f"test_{name}.py" for name in FIRST]
    for name in [*first, *sorted(names - set(first))]:
        yield f"tests/supervisor/{name}"


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
