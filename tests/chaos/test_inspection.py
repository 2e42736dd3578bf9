"""The inspection itself: it finds nothing where nothing is wrong, and each thing that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from mirror_folder import AGENT, Folder, open_folder
from mission_control.actors._seal import seal
from mission_control.storage import commands as c

from .inspection import inspect
from .ledger import Ledger


@attrs.define
class Scene:
    folder: Folder
    ledger: Ledger = attrs.field(factory=Ledger)

    def card(self, key: str) -> str:
        """Make a card, and have it acknowledged."""
        params = {"project_id": "p", "title": key}
        self.ledger.tell("tried", key, "mission.task.create", params)
        task = self.folder.bench.task("p", key, None)
        self.ledger.tell("acknowledged", key, {"task_id": task.id})
        return task.id

    @property
    def found(self) -> list[str]:
        return inspect(self.folder.home, self.ledger)

    def execute(self, sql: str) -> None:
        self.folder.bench.connection.execute(sql)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with open_folder(tmp_path) as folder:
        made = Scene(folder)
        card = made.card("a")
        made.ledger.tell("tried", "b", "mission.task.update", {"task_id": card})
        folder.bench.do(c.UpdateTask(card, description="b"))
        made.ledger.tell("acknowledged", "b", {})
        folder.bench.do(c.UpdateChronicle("p", "Begun."))
        folder.bench.do(c.SendMessage(AGENT, "Hurry."))
        folder.follow()
        yield made


def test_nothing_is_found_where_nothing_is_wrong(scene: Scene) -> None:
    assert scene.found == []
    assert inspect(scene.folder.home, scene.ledger, settled=True) == []


def lose_a_card(scene: Scene) -> None:
    scene.ledger.tell("tried", "x", "mission.task.create", {})
    scene.ledger.tell("acknowledged", "x", {"task_id": "nowhere"})


def lose_a_write(scene: Scene) -> None:
    scene.ledger.tell("tried", "x", "mission.task.update", {"task_id": scene.ledger.cards["a"]})
    scene.ledger.tell("acknowledged", "x", {})


def double_a_card(scene: Scene) -> None:
    scene.folder.bench.task("p", "a", None)


def double_a_write(scene: Scene) -> None:
    scene.folder.bench.do(c.UpdateTask(scene.ledger.cards["a"], description="b"))


def do_half_of_what_is_refused(scene: Scene) -> None:
    scene.ledger.tell("tried", "x", "mission.task.create", {})
    scene.ledger.tell("refused", "x")
    scene.folder.bench.task("p", "x", None)


def change_a_row_behind_the_log(scene: Scene) -> None:
    scene.execute("UPDATE tasks SET priority = 1")


def take_a_change_out_of_the_log(scene: Scene) -> None:
    scene.execute("DROP TRIGGER changes_are_kept")
    scene.execute("DELETE FROM changes WHERE seq = 3")


def take_the_schema_back(scene: Scene) -> None:
    scene.execute("PRAGMA user_version = 1")


def change_an_answer(scene: Scene) -> None:
    scene.ledger.tell("acknowledged", "b", {"other": 1})


def tear_a_mirror(scene: Scene) -> None:
    path = scene.folder.path / "KANBAN.md"
    path.write_bytes(path.read_bytes()[:-9])


def put_a_mirror_ahead(scene: Scene) -> None:
    path = scene.folder.path / "CHRONICLE.md"
    body = "# Chronicle of P\n"
    path.write_text(seal(body, epoch="e1", seq=10_000).over(path.name, body))


def show_what_never_was(scene: Scene) -> None:
    path = scene.folder.path / "CHRONICLE.md"
    body = "# Chronicle of Nobody\n"
    path.write_text(seal(body, epoch="e1", seq=scene.folder.shown).over(path.name, body))


def answer_before_it_is_shown(scene: Scene) -> None:
    scene.card("x")


@pytest.mark.parametrize(
    ("harm", "finding"),
    [
        (lose_a_card, "lost: x was acknowledged"),
        (lose_a_write, "lost: a write to a"),
        (double_a_card, "doubled: a happened 2 times"),
        (double_a_write, "doubled: a write to a"),
        (do_half_of_what_is_refused, "half done: x"),
        (change_a_row_behind_the_log, "the tables are not what the log says"),
        (take_a_change_out_of_the_log, "a gap in the log"),
        (take_the_schema_back, "lost: the tables"),
        (change_an_answer, "b was answered"),
        (tear_a_mirror, "torn: KANBAN.md"),
        (put_a_mirror_ahead, "ahead: CHRONICLE.md"),
        (show_what_never_was, "wrong: CHRONICLE.md"),
        (answer_before_it_is_shown, "behind: x"),
    ],
)
def test_what_is_wrong_is_found(scene: Scene, harm: Callable[[Scene], None], finding: str) -> None:
    harm(scene)
    assert any(each.startswith(finding) for each in scene.found), scene.found


def test_mirrors_that_stayed_behind_are_found_once_all_is_settled(scene: Scene) -> None:
    scene.folder.bench.do(c.UpdateChronicle("p", "Ended."))
    assert scene.found == []
    assert inspect(scene.folder.home, scene.ledger, settled=True)
