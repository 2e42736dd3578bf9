"""Who may do what with which path: the whole policy, without touching a file (SYSTEM §12).

Everything in a project is readable, but for `.secrets/` and the service's passing files.
Written is what the caller's access allows:

* an agent: `src/` and its own `agents/<soul>/working.md`;
* an operator who may write: what neither the service nor an agent's identity is made of;
* an operator who may administer: also souls, archives and `.secrets/`.

What the service writes (the mirrors, `daily/`, `history.jsonl`) nobody else does.  An access is
made from who the caller is, never from what it says.
"""

from __future__ import annotations

import enum
from typing import Final, TypeAlias

import attrs

from ._characters import fold, skeleton
from ._names import Names, split
from ._reasons import Reason, refusal


class Operation(enum.Enum):
    """What is to be done; a move is two."""

    READ = "read"
    LIST = "list"
    STAT = "stat"
    EXISTS = "exists"
    SEARCH = "search"
    WRITE = "write"
    APPEND = "append"
    EDIT = "edit"
    MKDIR = "mkdir"
    MOVE_FROM = "move_from"
    MOVE_TO = "move_to"
    DELETE = "delete"

    def __init__(self, value: str) -> None:
        # Kept as attributes: a set would hash the member at every read.
        self.of_a_file = value in {"read", "write", "append", "edit"}
        self.reads = value in {"read", "list", "stat", "exists", "search"}


class Right(enum.IntEnum):
    """How far an operator may go; each includes those before it."""

    READ = 1
    WRITE = 2
    ADMIN = 3


@attrs.frozen
class AgentAccess:
    """Of an agent to its own project."""

    project: str
    soul: str

    @property
    def holder(self) -> str:
        """Who it is, for those that wait for its locks."""
        return f"agent {self.soul}:{self.project}"


@attrs.frozen
class OperatorAccess:
    """Of a person, or a program of theirs, to one project."""

    project: str
    name: str
    right: Right = Right.READ

    @property
    def holder(self) -> str:
        """Who it is, for those that wait for its locks."""
        return f"operator {self.name}"


Access: TypeAlias = AgentAccess | OperatorAccess

SECRETS: Final = ".secrets"
_OF_THE_SERVICE: Final = frozenset({"kanban.md", "chronicle.md", "daily"})
_OF_ADMINS: Final = frozenset({"archive", SECRETS})


def authorise(access: Access, operation: Operation, path: object) -> Names:
    """Check *path* for *operation* and return its names.

    Raises:
        Invalid: it is no path, or that of a folder where a file is meant.
        Forbidden: it leads out of the project, or is not the caller's to use so.
    """
    names = split(path)
    if operation.of_a_file and (not names or not str(path).endswith(names[-1])):
        raise refusal(
            Reason.PATH_INVALID,
            "The path is that of a folder: name a file, without a slash at its end.",
            field="path",
        )
    if operation.reads:
        if names and not may_see(access, names[0]):
            raise _protected("Nobody but administrators sees what is in .secrets.")
    else:
        _check_writable(access, operation, names)
    return names


def is_secret(top: str) -> bool:
    """Whether *top*, a name in the project's own folder, is that of its secrets."""
    return not (top.isascii() and top[:1] != ".") and fold(top) == SECRETS


def may_see(access: Access, top: str) -> bool:
    """Whether the caller may know of *top*, a name in the project's own folder."""
    if not is_secret(top):
        return True
    return isinstance(access, OperatorAccess) and access.right is Right.ADMIN


def _check_writable(access: Access, operation: Operation, names: Names) -> None:
    if names[:1] == ("src",) and len(names) > 1 and _may_write(access):
        return  # nearly always
    if not names:
        raise _protected("The project's own folder cannot be changed: name something in it.")
    tops = tuple(map(skeleton, names[:3]))
    if _is_of_the_service(tops):
        raise _protected(f"{'/'.join(names)} is written by the service only: read it.")
    if tops == ("src",) and operation is not Operation.MKDIR:
        raise _protected("src itself stays where it is: name something in it.")
    if _is_of_notes(tops) and operation in {Operation.MKDIR, Operation.MOVE_TO}:
        raise _protected(f"{'/'.join(names)} is a file of notes: write it.")
    match access:
        case AgentAccess(soul=soul):
            if names[0] != "src" and names != ("agents", soul, "working.md"):
                raise _denied(names, f"write in src/ or agents/{soul}/working.md")
        case OperatorAccess(right=right):
            if right < _right_needed(tops):
                raise _denied(names, "ask for an access with more rights")


def _may_write(access: Access) -> bool:
    return isinstance(access, AgentAccess) or access.right >= Right.WRITE


def _is_of_the_service(tops: Names) -> bool:
    """Whether what these (folded) names lead to is the service's, or holds what is."""
    match tops:
        case ("agents",) | ("agents", _) | ("agents", _, "history.jsonl"):
            return True
        case (top, *_):
            return top in _OF_THE_SERVICE
        case _:
            return False


def _is_of_notes(tops: Names) -> bool:
    match tops:
        case ("agents", _, "working.md"):
            return True
        case _:
            return False


def _right_needed(tops: Names) -> Right:
    match tops:
        case ("agents", *_):
            return Right.WRITE if _is_of_notes(tops) else Right.ADMIN
        case (top, *_) if top in _OF_ADMINS:
            return Right.ADMIN
        case _:
            return Right.WRITE


def _protected(message: str) -> Exception:
    return refusal(Reason.PATH_PROTECTED, message, field="path")


def _denied(names: Names, advice: str) -> Exception:
    return refusal(
        Reason.SCOPE_DENIED, f"{'/'.join(names)} is not yours to write: {advice}.", field="path"
    )
