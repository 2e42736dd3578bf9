"""The commands as a closed set: named, frozen, and the same however often they are run."""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from mission_control.storage import (
    COMMANDS,
    Command,
    Invalid,
    TaskStatus,
    Transaction,
    fields_of,
    make_command,
    name_of,
)
from mission_control.storage import commands as c
from mission_control.storage._registry import register
from storage_bench import open_bench

SOURCES = Path(c.__file__).parent
IMPURE = {
    "time", "datetime", "random", "secrets", "uuid", "os", "socket", "subprocess", "threading",
    "trio", "pathlib", "logging",
}  # fmt: skip
"""What tells the time, draws a number or reaches outside."""

EXPORTED = {
    name: value
    for name, value in vars(c).items()
    if inspect.isclass(value) and hasattr(value, "apply")
}


def test_every_exported_command_is_registered_under_its_own_name() -> None:
    assert {name: COMMANDS[name] for name in EXPORTED} == EXPORTED
    assert set(EXPORTED) == {
        name for name, each in COMMANDS.items() if "storage.commands" in each.__module__
    }


@pytest.mark.parametrize("name", sorted(EXPORTED))
def test_a_command_is_a_frozen_record_with_an_answer_of_a_known_type(name: str) -> None:
    command = COMMANDS[name]
    assert attrs.has(command)
    assert command.__setattr__ is not object.__setattr__
    assert hasattr(command, "RESULT")
    assert all(field.eq and field.repr for field in attrs.fields(command))


@pytest.mark.parametrize("path", sorted(SOURCES.glob("*.py")), ids=lambda path: path.stem)
def test_no_command_can_look_at_the_clock_or_reach_outside(path: Path) -> None:
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and node.level == 0
            else []
        )
    }
    assert imported & IMPURE == set()


def test_two_commands_cannot_have_one_name() -> None:
    class CreateTask(Command[None]):
        RESULT: ClassVar[Any] = None

        def apply(self, tx: Transaction) -> None:
            raise AssertionError

    with pytest.raises(ValueError, match="two commands are called CreateTask"):
        register(CreateTask)
    assert COMMANDS["CreateTask"] is c.CreateTask
    with pytest.raises(LookupError, match="not registered"):
        name_of(CreateTask())


@pytest.mark.parametrize(
    "command",
    [
        c.CreateTask("p", "one", "shuri", 1, labels=("a", "b"), depends_on=("t",), due_at=7),
        c.MoveTask("t", TaskStatus.DONE, 3, by_agent="shuri:p"),
        c.EndPulse("pulse", "failed", failed=True, cost_usd=0.5),
        c.PurgeIdempotency(7),
    ],
)
def test_a_command_can_be_written_down_and_made_again(command: Command[Any]) -> None:
    text = json.dumps([name_of(command), fields_of(command)])
    name, fields = json.loads(text)
    assert make_command(name, fields) == command


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("DropEverything", {}, "there is no command 'DropEverything'"),
        ("RenameProject", {"project_id": "p"}, "not the fields of RenameProject: .*name"),
        ("RenameProject", {"project_id": "p", "name": "n", "extra": 1}, "extra"),
    ],
)
def test_what_is_no_command_is_not_made(name: str, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        make_command(name, fields)


def test_the_same_commands_make_the_same_database(tmp_path: Path) -> None:
    def history(path: Path) -> list[str]:
        with open_bench(path) as bench:
            bench.agent(bench.project().id)
            tasks = [bench.task("p", f"task {number}") for number in range(3)]
            pulse = bench.begin("shuri:p")
            fence = bench.fence(pulse)
            bench.do(c.LogEvent(tasks[0].id, "hm", by_agent="shuri:p"), "shuri:p", fence=fence)
            bench.do(c.RequestHelp(tasks[0].id, "How?", by_agent="shuri:p"), "shuri:p", fence=fence)
            bench.end(pulse, failed=True)
            (asked,) = bench.reads.help_requests(project_id="p", state="open")
            bench.do(c.AnswerHelp(asked.id, "So."))
            bench.do(c.DistillMemory("shuri:p", "learned"))
            # What tells when the schema was made, and by nobody's command.
            return [line for line in bench.connection.iterdump() if "_migrations" not in line]

    assert history(tmp_path / "one.db") == history(tmp_path / "two.db")
