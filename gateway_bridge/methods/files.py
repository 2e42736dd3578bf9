"""`mission.file.*` and `mission.lock.list`: the files of a project, for whoever may use them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import attrs

from ...actors import FileLedger, make_notes_folder, use_files
from ...storage import Invalid
from ...storage.files import (
    MIB,
    TIMEOUT_S,
    AgentAccess,
    AppendToFile,
    Delete,
    EditFile,
    FileChange,
    Files,
    LockInfo,
    MakeFolder,
    Move,
    OperatorAccess,
    Reason,
    Right,
    Stat,
    Wanted,
    WriteFile,
    check_project,
    fingerprint,
    refusal,
)
from ...storage.files import Access as FileAccess
from .._callers import Access
from .._file_content import decode, digest, encode
from .._file_params import (
    AppendParams,
    DeleteParams,
    EditParams,
    FolderParams,
    LockParams,
    MkdirParams,
    MoveParams,
    PathParams,
    ReadParams,
    SearchParams,
    WriteParams,
)
from .._table import Request, method
from .._wire import iso

R = TypeVar("R")

MAX_READ: Final = MIB
"""Bytes that one call reads: as JSON, twice in an answer to a tool, they are up to twelve times as
much, and the Gateway takes 25 MiB."""

DISK_WITHIN_S: Final = 30.0
"""How long an operation may take beside its waiting for locks."""


@method("mission.file.read", ReadParams, Access.READ, agents=True)
async def read(request: Request[ReadParams]) -> dict[str, Any]:
    """Read a file, or a part of it; `next` says where the rest begins."""
    params = request.params
    # One byte more than is given tells that there is more.
    length = MAX_READ + 1 if params.length is None else min(params.length, MAX_READ)
    content = await _use(
        request,
        lambda files, access: files.read(access, params.path, offset=params.offset, length=length),
    )
    if len(content.data) > MAX_READ:
        raise refusal(
            Reason.TOO_LARGE,
            f"{params.path} has {content.size} bytes, and a call reads {MAX_READ}: give a length",
            size=content.size,
            limit=MAX_READ,
        )
    text, given = encode(content, params.encoding)
    end = content.offset + given
    return {
        "path": params.path,
        "size": content.size,
        "offset": content.offset,
        "next": end if end < content.size else None,
        "sha256": content.sha256,
        "encoding": params.encoding.value,
        "content": text,
    }


@method("mission.file.list", FolderParams, Access.READ, agents=True)
async def list_(request: Request[FolderParams]) -> dict[str, Any]:
    """List what is in a folder of the project."""
    path = request.params.path
    entries = await _use(request, lambda files, access: files.list(access, path))
    return {
        "path": path,
        "entries": [
            {
                "name": entry.name,
                "kind": entry.kind.value,
                "size": entry.size,
                "modified_at": _moment(entry.mtime_ns),
                "addressable": entry.addressable,
            }
            for entry in entries
        ],
    }


@method("mission.file.stat", PathParams, Access.READ, agents=True)
async def stat(request: Request[PathParams]) -> dict[str, Any]:
    """Say what a path is, how large, and when it was changed."""
    path = request.params.path
    found: Stat = await _use(request, lambda files, access: files.stat(access, path))
    return {
        "path": path,
        "kind": found.kind.value,
        "size": found.size,
        "modified_at": _moment(found.mtime_ns),
    }


@method("mission.file.exists", PathParams, Access.READ, agents=True)
async def exists(request: Request[PathParams]) -> dict[str, Any]:
    """Say whether there is a file or folder."""
    path = request.params.path
    there = await _use(request, lambda files, access: files.exists(access, path))
    return {"path": path, "exists": there}


@method("mission.file.search", SearchParams, Access.READ, agents=True)
async def search(request: Request[SearchParams]) -> dict[str, Any]:
    """Find the lines that hold a text, in the files below a folder."""
    params = request.params
    found = await _use(
        request,
        lambda files, access: files.search(
            access, params.path, params.text, glob=params.glob, ignore_case=params.ignore_case
        ),
    )
    return {
        "matches": [attrs.asdict(match) for match in found.matches],
        "complete": found.complete,
    }


@method("mission.file.write", WriteParams, Access.WRITE, agents=True)
async def write(request: Request[WriteParams]) -> dict[str, Any]:
    """Make a file hold a content, all of it or nothing."""
    params = request.params
    data = decode(params.content, params.encoding, "content")
    expected = digest(params.expected_sha256)
    wanted = WriteFile(params.path, data, expected, params.overwrite)
    return await _change(request, wanted, params.wait_s)


@method("mission.file.append", AppendParams, Access.WRITE, agents=True)
async def append(request: Request[AppendParams]) -> dict[str, Any]:
    """Add a content at the end of a file, which is made if need be."""
    params = request.params
    data = decode(params.content, params.encoding, "content")
    return await _change(request, AppendToFile(params.path, data), params.wait_s)


@method("mission.file.edit", EditParams, Access.WRITE, agents=True)
async def edit(request: Request[EditParams]) -> dict[str, Any]:
    """Replace an exact piece of a file, which occurs once."""
    params = request.params
    old = decode(params.old, params.encoding, "old")
    new = decode(params.new, params.encoding, "new")
    expected = digest(params.expected_sha256)
    wanted = EditFile(params.path, old, new, params.everywhere, expected)
    return await _change(request, wanted, params.wait_s)


@method("mission.file.mkdir", MkdirParams, Access.WRITE, agents=True)
async def mkdir(request: Request[MkdirParams]) -> dict[str, Any]:
    """Make a folder."""
    params = request.params
    return await _change(request, MakeFolder(params.path, params.parents), params.wait_s)


@method("mission.file.move", MoveParams, Access.WRITE, agents=True)
async def move(request: Request[MoveParams]) -> dict[str, Any]:
    """Rename a file or folder."""
    params = request.params
    return await _change(request, Move(params.path, params.target, params.overwrite), params.wait_s)


@method("mission.file.delete", DeleteParams, Access.WRITE, agents=True)
async def delete(request: Request[DeleteParams]) -> dict[str, Any]:
    """Delete a file, or a folder."""
    params = request.params
    return await _change(request, Delete(params.path, params.recursive), params.wait_s)


@method("mission.lock.list", LockParams, Access.READ, agents=True)
async def locks(request: Request[LockParams]) -> dict[str, Any]:
    """List the files that are being changed now: by whom, for how long, and who waits."""
    project_id = request.params.project_id
    if project_id is not None:
        request.caller.require_project(project_id)
        request.mission.reads.project(project_id)
    held = request.mission.files.locks.list()
    return {"locks": [_lock(each) for each in held if project_id in (None, each.project)]}


def _access(request: Request[Any]) -> FileAccess:
    """Return what the caller may do in the project: by who it is, whatever it says."""
    project_id, caller = check_project(request.params.project_id), request.caller
    caller.require_project(project_id)
    if caller.identity is not None:
        return AgentAccess(project_id, caller.identity.agent_id.partition(":")[0])
    return OperatorAccess(project_id, caller.name, Right(caller.access))


async def _use(request: Request[Any], use: Callable[[Files, FileAccess], Awaitable[R]]) -> R:
    access = _access(request)
    return await use_files(
        request.mission,
        access.project,
        lambda files: use(files, access),
        within_s=DISK_WITHIN_S,
    )


async def _change(request: Request[Any], wanted: Wanted, wait_s: float) -> dict[str, Any]:
    if not 0 <= wait_s <= TIMEOUT_S:
        raise Invalid(f"wait_s must be 0 to {TIMEOUT_S:g}", field="wait_s")
    access, identity = _access(request), request.caller.identity
    ledger = FileLedger(
        request.mission,
        access.project,
        request.caller.name,
        fingerprint(wanted),
        request.key,
        identity.fence if identity is not None else None,
        request.agent_id,
        identity.task_id if identity is not None else None,
    )
    await make_notes_folder(request.mission, access.project, wanted.path)
    change = await use_files(
        request.mission,
        access.project,
        lambda files: files.change(access, wanted, ledger=ledger, patience_s=wait_s),
        within_s=wait_s + DISK_WITHIN_S,
    )
    return _changed(change)


def _changed(change: FileChange) -> dict[str, Any]:
    wire = {
        "operation": change.operation,
        "path": change.path,
        "kind": change.kind,
        "size": change.size,
        "sha256": change.after,
        "before_sha256": change.before,
        "created": change.created,
    }
    return wire if change.target is None else wire | {"target": change.target}


def _lock(held: LockInfo) -> dict[str, Any]:
    wire = attrs.asdict(held)
    return {"project_id": wire.pop("project"), **wire, "queue": list(held.queue)}


def _moment(mtime_ns: int) -> str:
    return iso(mtime_ns // 1_000)
