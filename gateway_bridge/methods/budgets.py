"""`mission.project.budget`: what pulses may take in a day."""

from __future__ import annotations

from typing import Any

import attrs

from ...actors import spending
from ...storage import Budget, Invalid
from ...storage.commands import WARN_AT, SetBudget
from .._callers import Access
from .._table import Request, method
from .._wire import to_wire


@attrs.frozen
class BudgetParams:
    """Parameters of `mission.project.budget`; what is left out stays as it is."""

    project_id: str | None = None
    """Without one, the budget of the home is meant: all projects together."""
    tokens_per_day: int | None = None
    cost_usd_per_day: float | None = None
    warn_at: float | None = None
    """The share of either at which somebody is warned."""
    lift: bool = False
    """Away with the limits that are not given."""


@method("mission.project.budget", BudgetParams, Access.WRITE)
async def budget(request: Request[BudgetParams]) -> dict[str, Any]:
    """Show or set what the pulses of a project may take a day (UTC), in tokens and in money."""
    params, reads = request.params, request.mission.reads
    if params.project_id is not None:
        reads.project(params.project_id)
    now = reads.budget(params.project_id)
    command = _command(params, now)
    if command is not None:
        now = await _commit(request, command)
    return {
        "project_id": params.project_id,
        "budget": to_wire(now) if now is not None else None,
        "spending": spending(now) if now is not None else "no budget is set",
    }


def _command(params: BudgetParams, now: Budget | None) -> SetBudget | None:
    """Return what is to be changed; None where only a look was asked for."""
    given = (params.tokens_per_day, params.cost_usd_per_day, params.warn_at)
    if given == (None, None, None) and not params.lift:
        return None
    old = None if params.lift else now
    tokens, cost, warn_at = given
    if tokens is None and old is not None:
        tokens = old.tokens_per_day
    if cost is None and old is not None:
        cost = old.cost_usd_per_day
    if warn_at is None:
        warn_at = now.warn_at if now is not None else WARN_AT
    if (tokens, cost) == (None, None) and not params.lift:
        raise Invalid("there is no limit to warn of: give one", field="tokens_per_day")
    return SetBudget(params.project_id, tokens, cost, warn_at)


async def _commit(request: Request[BudgetParams], command: SetBudget) -> Budget:
    if command.project_id is not None:
        changed: Budget = await request.commit(command.project_id, command)
        return changed
    store = request.mission.store
    return await store.write(command, by=request.caller.name, key=request.key)
