"""Templates on disk: read again when they change, and never in the way of work."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from mission_control.actors import Home
from mission_control.actors._status_text import DEFAULT
from mission_control.actors._templates import Templates
from mission_control.storage import Invalid


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    for project in ("p", "q"):
        home.scope(project).path.mkdir(parents=True)
    return home


@pytest.fixture
def templates(home: Home) -> Templates:
    return Templates(home)


def put(path: Path, text: str | bytes) -> None:
    """Replace a file, as editors do: so it is another one, however soon."""
    fresh = path.with_name("fresh")
    fresh.write_bytes(text.encode() if isinstance(text, str) else text)
    fresh.replace(path)


def test_the_project_has_the_first_word_then_the_home_then_we(
    home: Home, templates: Templates
) -> None:
    assert templates.of("p") is DEFAULT
    assert templates.source("p") == "built in"
    put(home.template, "home {task_id}")
    put(home.scope("p").template, "p {task_id}")
    assert templates.of("p").text == "p {task_id}"
    assert templates.source("p") == str(home.scope("p").template)
    assert templates.of("q").text == templates.of(None).text == "home {task_id}"
    home.scope("p").template.unlink()
    assert templates.of("p").text == "home {task_id}"
    home.template.unlink()
    assert templates.of("p") is DEFAULT


def test_a_file_that_changes_is_read_again_and_one_that_does_not_is_not(
    home: Home, templates: Templates
) -> None:
    put(home.template, "one")
    first = templates.of("p")
    assert templates.of("p") is first
    put(home.template, "two")
    assert templates.of("p").text == "two"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("first line\n{nonsense}", ":2: unknown placeholder '{nonsense}'; known are: agent_id,"),
        (b"\xff\xfe", "is no UTF-8"),
        ("", "1 to 32000 characters"),
        ("x" * 200_000, "1 to 32000 characters"),
    ],
)
def test_a_bad_template_is_told_and_the_last_good_one_is_used(
    home: Home,
    templates: Templates,
    caplog: pytest.LogCaptureFixture,
    text: str | bytes,
    said: str,
) -> None:
    path = home.scope("p").template
    put(path, "good {task_id}")
    assert templates.problems(["p", "q"]) == []
    put(path, text)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert templates.of("p").text == "good {task_id}"
    (problem,) = templates.problems(["p", "q"])
    assert said in problem
    assert str(path) in problem
    assert len(caplog.records) == 1, "told once, not at every pulse"
    put(path, "better")
    assert templates.of("p").text == "better"
    assert templates.problems(["p", "q"]) == []


def test_one_that_was_never_good_leaves_the_word_to_the_next(
    home: Home, templates: Templates
) -> None:
    put(home.template, "home")
    put(home.scope("p").template, "{nonsense}")
    assert templates.of("p").text == "home"
    put(home.template, "{nonsense}")
    assert templates.of("q").text == "home"
    assert len(templates.problems(["p"])) == 2
    assert Templates(home).of("p") is DEFAULT


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_plain_file_is_not_followed_and_not_waited_for(
    home: Home, templates: Templates, kind: str
) -> None:
    path = home.scope("p").template
    if kind == "link":
        put(home.path / "secret", "secret")
        path.symlink_to(home.path / "secret")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert templates.of("p") is DEFAULT
    assert "no plain file" in templates.problems(["p"])[0]


def test_a_template_that_is_set_is_checked_before_it_is_written(
    home: Home, templates: Templates
) -> None:
    templates.set("p", "mine {task_id}")
    assert templates.of("p").text == "mine {task_id}"
    with pytest.raises(Invalid, match="nonsense"):
        templates.set("p", "{nonsense}")
    assert home.scope("p").template.read_text() == "mine {task_id}"
    templates.set("p", None)
    templates.set("p", None)
    assert templates.of("p") is DEFAULT


def test_a_project_that_is_based_on_another_begins_with_its_template(home: Home) -> None:
    home.scope("p").make()
    put(home.scope("p").template, "mine {task_id}")
    home.scope("new").make(home.scope("p"))
    assert home.scope("new").template.read_text() == "mine {task_id}"
