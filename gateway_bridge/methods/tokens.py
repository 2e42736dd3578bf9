"""`mission.token.*`: who may call at all.  For administrators."""

from __future__ import annotations

from enum import Enum
from typing import Any

import attrs

from ...actors import OPERATOR_NAME
from .._callers import Access
from .._table import Request, method
from .._wire import to_wire
from .projects import NoParams


class Scope(Enum):
    """What a token is good for; an agent's is made with each of its pulses."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@attrs.frozen
class Holder:
    """Who has a token, as it is listed."""

    name: str
    scope: str
    created_at: int | None = None
    """Of the present token; of the operators' nobody keeps it."""
    created_by: str | None = None


@attrs.frozen
class CreateParams:
    """Parameters of `mission.token.create`."""

    name: str
    scope: Scope


@attrs.frozen
class TokenParams:
    """Parameters of methods about one token."""

    name: str


@method("mission.token.list", NoParams, Access.ADMIN, secret=True)
async def list_(request: Request[NoParams]) -> dict[str, Any]:
    """List who has a token, and what it is good for; never the tokens."""
    holders = [
        Holder(each.name, each.access.scope, each.created_at, each.created_by)
        for each in request.mission.principals.all()
    ]
    operator = Holder(OPERATOR_NAME, Access.ADMIN.scope)
    return {"tokens": [to_wire(holder) for holder in (operator, *holders)]}


@method("mission.token.create", CreateParams, Access.ADMIN, secret=True)
async def create(request: Request[CreateParams]) -> dict[str, Any]:
    """Give somebody a token of their own.  It is shown in this answer and never again."""
    mission, params = request.mission, request.params
    token = await mission.principals.create(
        params.name,
        Access[params.scope.name],
        at=mission.clock.now_us(),
        by=request.caller.name,
    )
    return {"name": params.name, "scope": params.scope.value, "token": token}


@method("mission.token.rotate", TokenParams, Access.ADMIN, secret=True)
async def rotate(request: Request[TokenParams]) -> dict[str, Any]:
    """Replace a token: the old one ends now.  The operators' new one is in its file only."""
    mission, name = request.mission, request.params.name
    token = await mission.principals.rotate(name, at=mission.clock.now_us(), by=request.caller.name)
    return {"name": name} if token is None else {"name": name, "token": token}


@method("mission.token.revoke", TokenParams, Access.ADMIN, secret=True)
async def revoke(request: Request[TokenParams]) -> dict[str, Any]:
    """Take somebody's token away, and end the connections that were opened with it."""
    await request.mission.principals.revoke(request.params.name)
    return {"name": request.params.name}
