"""`mission.system.*` and `mission.event.list`: looking inside."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import attrs

from ...actors import (
    MAINTENANCE,
    ORCHESTRATOR,
    SLOTS,
    HowFull,
    HowKept,
    Mission,
    ProcessRunner,
    Runner,
    Stranded,
    WhoIsStranded,
    spending,
)
from ...storage import BudgetLevel, Invalid, MissionError, Reads, Unavailable
from ...storage.commands import level_on
from ...supervisor import TreeNode
from .._callers import Access
from .._snapshot import snapshot
from .._table import Request, method
from .._wire import to_wire
from .projects import NoParams

MAX_EVENTS = 500


@attrs.frozen
class EventParams:
    """Parameters of `mission.event.list`: of one task, or of one project."""

    task_id: str | None = None
    project_id: str | None = None
    limit: int = 50


@method("mission.event.list", EventParams, Access.READ, agents=True)
async def events(request: Request[EventParams]) -> dict[str, Any]:
    """List the newest thoughts of a task or a project, oldest first."""
    params, reads = request.params, request.mission.reads
    if not 1 <= params.limit <= MAX_EVENTS:
        raise Invalid(f"limit must be 1 to {MAX_EVENTS}, not {params.limit}", field="limit")
    if params.task_id is not None:
        request.caller.require_project(reads.task(params.task_id).project_id)
    elif params.project_id is not None:
        request.caller.require_project(reads.project(params.project_id).id)
    else:
        raise Invalid("give task_id or project_id", field="task_id")
    return await snapshot(request.mission, lambda reads: _events(reads, params))


def _events(reads: Reads, params: EventParams) -> dict[str, Any]:
    found = reads.events(task_id=params.task_id, project_id=params.project_id, limit=params.limit)
    return {"events": [to_wire(event) for event in found]}


@method("mission.system.health", NoParams, Access.READ, agents=True)
async def health(request: Request[NoParams]) -> dict[str, Any]:
    """Tell whether pulses can be run and changes kept, and why not."""
    away = request.mission.runner.away
    storage = request.mission.store.condition
    return {
        "ok": away is None and storage.failure is None,
        "runner": request.mission.runner.name,
        "away": away,
        "storage": {"ok": storage.failure is None, **attrs.asdict(storage)},
        "backup": await _backup(request.mission),
        "warnings": await _warnings(request.mission),
        "version": version("openclaw-mission-control"),
    }


async def _warnings(mission: Mission) -> list[str]:
    """Say what a person should see to, although work goes on."""
    now = mission.clock.now_us()
    try:
        projects, budgets = await mission.reads.elsewhere(
            lambda reads: (reads.projects(), reads.budgets())
        )
    except Unavailable:
        return []  # told as the storage's failure
    scarce = [each for each in budgets if level_on(each, now) is not BudgetLevel.AMPLE]
    return [
        *map(spending, scarce),
        *mission.templates.problems(project.id for project in projects),
        *await _stranded(mission),
    ]


async def _stranded(mission: Mission) -> list[str]:
    try:
        found: tuple[Stranded, ...] = await mission.ask(
            ORCHESTRATOR, WhoIsStranded(), timeout_s=1.0
        )
    except MissionError:
        return []  # it is being started, or looks after all this very moment
    return [f"task {each.task_id} is stranded: {each.reason.sentence}" for each in found]


async def _backup(mission: Mission) -> dict[str, Any]:
    try:
        upkeep = await mission.ask(MAINTENANCE, HowKept())
    except Unavailable as away:
        return {"ok": False, "failure": away.message, "last_at": None, "next_at": None}
    return {"ok": upkeep.failure is None, **to_wire(upkeep)}


@method("mission.system.status", NoParams, Access.READ)
async def status(request: Request[NoParams]) -> dict[str, Any]:
    """Count what there is, and name the agents whose pulses run now."""
    mission = request.mission
    projects, agents = await mission.reads.elsewhere(Reads.head_count)
    return {
        "home": str(mission.home.path),
        "runner": mission.runner.name,
        "away": mission.runner.away,
        "confinement": _confinement(mission.runner),
        "files": mission.files.opener,
        "projects": projects,
        "agents": agents,
        "running": await mission.ask(SLOTS, HowFull()),
        "cursor": str(mission.reads.cursor()),
        "dead_letters": len(mission.system.dead_letters),
    }


def _confinement(runner: Runner) -> str | None:
    """Say what keeps local commands in their place; None where none are run."""
    return runner.hold.text if isinstance(runner, ProcessRunner) else None


@method("mission.system.tree", NoParams, Access.READ)
async def tree(request: Request[NoParams]) -> dict[str, Any]:
    """Show every actor: state, mailbox, restarts, uptime and last error."""
    return {"tree": _node(request.mission.system.tree())}


def _node(node: TreeNode) -> dict[str, Any]:
    return {
        "id": node.id,
        "path": node.path,
        "kind": node.kind,
        "state": node.state,
        "mailbox": node.mailbox,
        "restarts": node.restarts,
        "uptime_s": round(node.uptime_s, 3),
        "last_error": node.last_error,
        "children": [_node(child) for child in node.children],
    }
