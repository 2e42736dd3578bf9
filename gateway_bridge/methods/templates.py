"""`mission.pulse.template`: what agents are told at the start of a pulse, in whose words."""

from __future__ import annotations

from typing import Any

import attrs
import trio

from ...actors import PLACEHOLDERS
from ...storage import Invalid
from .._callers import Access
from .._table import Request, method


@attrs.frozen
class TemplateParams:
    """Parameters of `mission.pulse.template`: of a project, or of those that have none."""

    project_id: str | None = None


@attrs.frozen
class SetTemplateParams(TemplateParams):
    """Parameters of `mission.pulse.set_template`."""

    template: str | None = None
    """None takes the one away that was set."""


@method("mission.pulse.template", TemplateParams, Access.READ)
async def template(request: Request[TemplateParams]) -> dict[str, Any]:
    """Show the template of the status text, where it comes from, and what it may name."""
    return _answer(request, _project(request))


@method("mission.pulse.set_template", SetTemplateParams, Access.WRITE)
async def set_template(request: Request[SetTemplateParams]) -> dict[str, Any]:
    """Replace the template of the status text; one that cannot be used changes nothing."""
    project_id, templates = _project(request), request.mission.templates
    try:
        await trio.to_thread.run_sync(templates.set, project_id, request.params.template)
    except OSError as error:
        path = templates.path(project_id)
        raise Invalid(f"cannot write {path}: {error.strerror}", field="template") from error
    return _answer(request, project_id)


def _project(request: Request[Any]) -> str | None:
    project_id: str | None = request.params.project_id
    if project_id is not None:
        request.mission.reads.project(project_id)
    return project_id


def _answer(request: Request[Any], project_id: str | None) -> dict[str, Any]:
    templates = request.mission.templates
    return {
        "project_id": project_id,
        "template": templates.of(project_id).text,
        "source": templates.source(project_id),
        "path": str(templates.path(project_id)),
        "problems": templates.problems([project_id] if project_id is not None else []),
        "placeholders": dict(PLACEHOLDERS),
    }
