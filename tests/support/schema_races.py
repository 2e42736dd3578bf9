"""Lets processes migrate one file at once, without the home's lock.  A program: argv is a folder.

It forks, as `schema_kills` does.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from pathlib import Path

from schema_kills import ended, forked
from schema_steps import STEPS, go, look, looks

ROUNDS = 15
RACERS = 3


def race(path: Path) -> list[str]:
    """Start all at once; return what each applied, or why it was refused, a line each."""
    gate, opener = os.pipe()
    answers, mouth = os.pipe()

    def racer() -> None:
        os.close(opener)
        os.read(gate, 1)
        try:
            said = ", ".join(go(path, up=True)) or "nothing"
        except sqlite3.OperationalError as refusal:
            said = f"refused: {refusal}"
        os.write(mouth, f"{said}\n".encode())

    children = [forked(racer) for _ in range(RACERS)]
    for each in (gate, mouth, opener):
        os.close(each)
    assert [ended(child) for child in children] == [0] * RACERS
    with os.fdopen(answers) as file:
        return file.read().splitlines()


def main() -> None:
    folder = Path(sys.argv[1])
    top = looks(folder)[-1]
    refusals = []
    for round_ in range(ROUNDS):
        path = folder / f"{round_}.db"
        answers = race(path)
        refused = [each for each in answers if each.startswith("refused")]
        done = ", ".join(each for each in answers if each not in ("nothing", *refused))
        if refused:
            # What the others had left to do, and what it had done itself, it did not say.
            go(path, up=True)
        else:
            assert sorted(done.split(", ")) == [step.name for step in STEPS], answers
        assert look(path) == top, answers
        refusals += refused
    print(json.dumps(refusals))  # noqa: T201


if __name__ == "__main__":
    main()
