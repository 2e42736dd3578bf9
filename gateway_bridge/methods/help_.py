"""`mission.help.*`: the human's side of a question."""

from __future__ import annotations

from typing import Any

import attrs

from ...storage import HelpRequest, HelpState, Invalid, Reads, TaskStatus
from ...storage.commands import AnswerHelp
from .._callers import Access
from .._snapshot import snapshot
from .._table import Request, method
from .._wire import to_wire

MAX_LISTED = 500


@attrs.frozen
class ListParams:
    """Parameters of `mission.help.list`."""

    project_id: str | None = None
    state: HelpState = HelpState.OPEN
    limit: int = 100
    after: str | None = None
    """The `next` of the page before."""


@attrs.frozen
class AnswerParams:
    """Parameters of `mission.help.answer`."""

    help_id: str
    answer: str
    new_status: TaskStatus = TaskStatus.IN_PROGRESS


def _answer(request: HelpRequest) -> dict[str, Any]:
    return {"help_id": request.id, "help_request": to_wire(request)}


@method("mission.help.list", ListParams, Access.READ)
async def list_(request: Request[ListParams]) -> dict[str, Any]:
    """List the questions that wait for an answer."""
    params = request.params
    if not 1 <= params.limit <= MAX_LISTED:
        raise Invalid(f"limit must be 1 to {MAX_LISTED}, not {params.limit}", field="limit")
    return await snapshot(request.mission, lambda reads: _page(reads, params))


def _page(reads: Reads, params: ListParams) -> dict[str, Any]:
    if params.project_id is not None:
        reads.project(params.project_id)
    found = reads.help_requests(
        project_id=params.project_id,
        state=params.state.value,
        after=reads.help_request(params.after) if params.after is not None else None,
        # One more than is wanted tells whether there is a next page.
        limit=params.limit + 1,
    )
    page = found[: params.limit]
    return {
        "help_requests": [to_wire(each) for each in page],
        "next": page[-1].id if len(found) > len(page) else None,
    }


@method("mission.help.answer", AnswerParams, Access.WRITE)
async def answer(request: Request[AnswerParams]) -> dict[str, Any]:
    """Answer a question: its task goes on."""
    params = request.params
    asked = request.mission.reads.help_request(params.help_id)
    command = AnswerHelp(params.help_id, params.answer, params.new_status)
    return _answer(await request.commit(asked.project_id, command))
