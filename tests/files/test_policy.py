"""Which paths are paths, and who may write where: pure functions."""

from __future__ import annotations

import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mission_control.storage import Forbidden, Invalid, MissionError, NotFound
from mission_control.storage.files import (
    Access,
    AgentAccess,
    Operation,
    OperatorAccess,
    Reason,
    Right,
    authorise,
)
from mission_control.storage.files._characters import fold
from mission_control.storage.files._names import check_project, file_key, is_addressable, split
from mission_control.storage.files._reasons import refusal, refusal_of

AGENT = AgentAccess("alpha", "coder")
READER, WRITER, ADMIN = (OperatorAccess("alpha", "ann", right) for right in Right)
WRITING = [operation for operation in Operation if not operation.reads]
MAY_MAKE_FOLDERS = [Operation.MKDIR, Operation.MOVE_TO]
READING = [operation for operation in Operation if operation.reads]


def allowed(access: Access, operation: Operation, path: str) -> bool:
    try:
        authorise(access, operation, path)
    except Forbidden:
        return False
    return True


def test_a_path_is_split_once_into_names() -> None:
    assert split("src/a/b.py") == ("src", "a", "b.py")
    assert split("./src//a/.") == ("src", "a")
    assert split(".") == split("./") == ()
    assert split("src/été/文件.txt") == ("src", "été", "文件.txt")


PATHS = st.text(
    st.sampled_from(string.ascii_letters + "./\\~%: -_0129é\u200b\u0301\u017f\u212a\x00\x7f")
    | st.characters(),
    max_size=40,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(PATHS)
def test_names_are_plain_whatever_the_text(path: str) -> None:
    try:
        names = split(path)
    except (Invalid, Forbidden):
        return
    for name in names:
        assert name not in {"", ".", ".."}
        assert not set(name) & set("/\\\x00:")
        assert is_addressable(name)
    assert split("/".join(names) or ".") == names


@pytest.mark.parametrize("path", ["/{}", "../{}", "{}\x00", "%2e/{}", "{}\u200b", "{}:", "~{}"])
def test_a_refusal_does_not_repeat_the_path(path: str) -> None:
    with pytest.raises((Invalid, Forbidden)) as refused:
        split(path.format("home-of-ann"))
    assert "home-of-ann" not in str(refused.value.to_wire())


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(st.text(max_size=20))
def test_a_key_is_its_own_key(name: str) -> None:
    assert fold(fold(name)) == fold(name)


def test_what_is_left_out_of_a_key_does_not_keep_others_apart() -> None:
    assert fold("e\u200b\u0301") == fold("\xc9") == "\xe9"


def test_spellings_of_one_file_share_its_key() -> None:
    assert file_key(("src", "Readme.MD")) == file_key(("SRC", "README.md"))
    assert file_key(("straße",)) == file_key(("STRASSE",))
    assert file_key(("a", "b")) != file_key(("a.b",))


@pytest.mark.parametrize("project", ["alpha", "a", "vidsnap-2", "0x"])
def test_ids_of_projects_are_accepted(project: str) -> None:
    assert check_project(project) == project


@pytest.mark.parametrize("path", ["src/a", "src/deep/er/a.py", "agents/coder/working.md"])
@pytest.mark.parametrize("operation", WRITING)
def test_an_agent_writes_in_src_and_its_own_notes(operation: Operation, path: str) -> None:
    becomes_folder = operation in MAY_MAKE_FOLDERS and path.startswith("agents/")
    assert allowed(AGENT, operation, path) != becomes_folder


@pytest.mark.parametrize("access", [AGENT, WRITER, ADMIN])
@pytest.mark.parametrize("operation", MAY_MAKE_FOLDERS)
def test_nobody_makes_a_folder_of_an_agents_notes(access: Access, operation: Operation) -> None:
    for path in ("agents/coder/working.md", "agents/coder/working.md/x"):
        assert not allowed(access, operation, path)


@pytest.mark.parametrize(
    "path",
    [
        "KANBAN.md", "CHRONICLE.md", ".context", "daily/2026-11-22.md", "a.txt", "SRC/a", "srcs/a",
        "agents/coder/SOUL.md", "agents/coder/learned.md", "agents/coder/history.jsonl",
        "agents/coder/working.md/x", "agents/other/working.md", "agents/Coder/working.md",
        "archive/a", ".secrets/a", "src", "agents", ".",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "operation", [o for o in WRITING if o not in {Operation.WRITE, Operation.MKDIR}]
)
def test_an_agent_writes_nowhere_else(operation: Operation, path: str) -> None:
    with pytest.raises((Forbidden, Invalid)) as refused:
        authorise(AGENT, operation, path)
    assert refused.value.details["reason"] in {"path_protected", "scope_denied", "path_invalid"}


@pytest.mark.parametrize("access", [AGENT, READER, WRITER, ADMIN])
@pytest.mark.parametrize("operation", READING)
def test_everything_but_secrets_is_readable(access: Access, operation: Operation) -> None:
    for path in ("KANBAN.md", "agents/other/history.jsonl", "daily/x", ".context", "src/a"):
        assert allowed(access, operation, path)
    assert allowed(access, operation, ".secrets/token") == (access is ADMIN)


@pytest.mark.parametrize(
    ("path", "least"),
    [
        ("src/a", WRITER),
        (".context", WRITER),
        ("agents/coder/working.md", WRITER),
        ("agents/coder/SOUL.md", ADMIN),
        ("archive/a", ADMIN),
        (".secrets/token", ADMIN),
        ("KANBAN.md", None),
        ("kanban.MD/x", None),
        ("daily/2026-11-22.md", None),
        ("agents/coder/history.jsonl", None),
        ("agents/coder", None),
    ],
)
def test_an_operator_writes_as_far_as_its_right_goes(
    path: str, least: OperatorAccess | None
) -> None:
    for operation in WRITING:
        for access in (READER, WRITER, ADMIN):
            right = least is not None and access.right >= least.right
            right = right and not ("working.md" in path and operation in MAY_MAKE_FOLDERS)
            assert allowed(access, operation, path) == right, (operation, access)


def test_src_is_made_but_not_moved_written_or_deleted() -> None:
    for access in (AGENT, WRITER, ADMIN):
        assert allowed(access, Operation.MKDIR, "src")
        for operation in (Operation.WRITE, Operation.DELETE, Operation.MOVE_FROM):
            assert not allowed(access, operation, "src")


def test_who_holds_a_lock_is_told_by_name() -> None:
    assert (AGENT.holder, ADMIN.holder) == ("agent coder:alpha", "operator ann")


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_kind_of_the_taxonomy(reason: Reason) -> None:
    error = refusal(reason, "No.", path="a")
    assert isinstance(error, MissionError)
    assert error.details == {"reason": reason.value, "path": "a"}
    assert (error.retry_after_ms is not None) == error.retryable


def test_what_the_system_answers_becomes_a_reason_without_its_path() -> None:
    missing = refusal_of(FileNotFoundError(2, "No such file", "/home/ann/secret"), "src/a")
    assert isinstance(missing, NotFound)
    assert "/home" not in str(missing.to_wire())
    strange = refusal_of(OSError(99_999, "?", "/home/ann/secret"), "src/a")
    assert strange.details["reason"] == "io_failure"
