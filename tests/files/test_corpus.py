"""Every known way out of a folder, through each way to open files and through both interfaces.

The attacks run in a sandbox (tests/support/files_sandbox.py).
"""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from files_corpus import OPENERS
from files_sandbox import run_in_sandbox
from mission_control.storage.files._kernel import FILE, FOLDER, best_opener

HERE = Path(__file__).parent
CASES = sum(
    len(json.loads((HERE / name).read_text())["cases"])
    for name in ("corpus.json", "more_cases.json")
)
MOUNTS = 13
"""Cases that need a mount of their own."""


def wrong(results: list[dict[str, str]]) -> list[dict[str, str]]:
    return [result for result in results if result["verdict"] != "ok"]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("opener", OPENERS)
def test_nothing_gets_through_and_nothing_is_wrongly_refused(opener: str) -> None:
    results = run_in_sandbox("files_corpus:run_cases", opener=opener)
    assert CASES - MOUNTS <= len(results) <= CASES
    assert not wrong(results)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("opener", OPENERS)
def test_the_same_holds_for_an_agent_in_its_src(opener: str) -> None:
    results = run_in_sandbox("files_corpus:run_cases", opener=opener, rebased=True)
    assert len(results) > 180
    assert not wrong(results)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_same_holds_through_locks_and_threads() -> None:
    results = run_in_sandbox("files_corpus:run_cases", opener=next(iter(OPENERS)), facade=True)
    assert CASES - MOUNTS <= len(results) <= CASES
    assert not wrong(results)


@pytest.mark.parametrize("opener", OPENERS)
def test_a_mount_that_is_always_there_is_not_entered(opener: str) -> None:
    top = os.open("/", FOLDER)
    try:
        way = OPENERS[opener](top)
        os.close(way.open((), FOLDER))
        for names, flags in ((("proc",), FOLDER), (("proc", "version"), FILE)):
            with pytest.raises(OSError, match=os.strerror(errno.EXDEV)):
                way.open(names, flags)
    finally:
        os.close(top)


def test_the_best_way_to_open_is_one_that_was_tested() -> None:
    assert best_opener() is next(iter(OPENERS.values()))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("answer", [errno.EPERM, errno.ENOSYS])
def test_where_openat2_is_forbidden_names_are_walked(answer: int) -> None:
    result = run_in_sandbox("files_seccomp:choose_without_openat2", answer=answer)
    assert result == {"installed": True, "openat2": False, "chosen": "walk"}
