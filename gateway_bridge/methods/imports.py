"""`mission.agent.import`: agents that a Gateway has of its own become souls."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import attrs
import trio

from ...actors import HostAgent, Mission, roster_changed
from ...storage import (
    Agent,
    Conflict,
    Invalid,
    NotFound,
    ProjectState,
    read_plain,
    replace_file,
    slug,
)
from ...storage.commands import CreateAgent, InstallSoul, check_soul_name
from .._callers import Access
from .._table import Request, method
from .._wire import to_wire

MAX_SOUL_BYTES = 2 * 1024 * 1024
"""The Gateway keeps no larger SOUL.md."""


@attrs.frozen
class Candidate:
    """An agent of a Gateway, with its SOUL.md where it has one."""

    id: str
    name: str = ""
    workspace: str = ""
    model: str = ""
    soul_text: str | None = None

    @property
    def soul(self) -> str:
        """What it is called among ours."""
        return slug(self.id)

    @property
    def text(self) -> str:
        """Its SOUL.md.

        Raises:
            NotFound: it has none.
        """
        if not (self.soul_text or "").strip():
            where = f" in {self.workspace}" if self.workspace else ""
            raise NotFound(
                f"the Gateway's agent {self.id!r} has no SOUL.md{where}: write one, and import it"
                " then",
                field="names",
            )
        return str(self.soul_text)


@attrs.frozen
class ImportParams:
    """Parameters of `mission.agent.import`."""

    names: tuple[str, ...] = ()
    """Ids of the Gateway's agents; without any, all are listed and nothing is changed."""
    project_id: str | None = None
    """Where they are put to work, each with its Gateway agent as its host."""
    agents: tuple[Candidate, ...] | None = None
    """What the caller has read from a Gateway, in place of what the runner's own has."""


@method("mission.agent.import", ImportParams, Access.ADMIN)
async def import_(request: Request[ImportParams]) -> dict[str, Any]:
    """List the agents that the Gateway has of its own, or make souls of some."""
    params, mission = request.params, request.mission
    if params.agents is not None:
        found = params.agents
    else:
        wanted = set(params.names) if params.names else None
        found = await _read(mission, wanted)
    if not params.names:
        return {"agents": [await _listed(mission, each) for each in found]}
    chosen = _chosen(found, params.names)
    await _check(request, chosen)
    return {"imported": [await _import(request, each) for each in chosen]}


async def _read(mission: Mission, wanted: set[str] | None) -> tuple[Candidate, ...]:
    """Read what the runner's host has; the texts of those only that are *wanted*."""
    found = []
    for agent in await mission.runner.host_agents():
        wanted_too = wanted is None or agent.id in wanted
        text = await mission.runner.host_soul(agent.id) if wanted_too else None
        found.append(_candidate(agent, text))
    return tuple(found)


def _candidate(agent: HostAgent, text: str | None) -> Candidate:
    return Candidate(agent.id, agent.name, agent.workspace, agent.model, text)


async def _listed(mission: Mission, found: Candidate) -> dict[str, Any]:
    known = await trio.to_thread.run_sync(_text, mission.home.soul(found.soul))
    installed = "none" if known is None else "same" if known == found.soul_text else "different"
    wire = to_wire(found)
    del wire["soul_text"]
    return wire | {
        "soul": found.soul,
        "has_soul": bool((found.soul_text or "").strip()),
        "installed": installed,
    }


def _chosen(found: tuple[Candidate, ...], names: tuple[str, ...]) -> list[Candidate]:
    by_id = {each.id: each for each in found}
    unknown = sorted(set(names) - set(by_id))
    if unknown:
        known = ", ".join(sorted(by_id)) or "none"
        raise NotFound(
            f"the Gateway has no agent {', '.join(map(repr, unknown))}; it has {known}",
            field="names",
        )
    return [by_id[name] for name in dict.fromkeys(names)]


async def _check(request: Request[ImportParams], chosen: list[Candidate]) -> None:
    """Refuse all of it before anything of it is done: SOUL.md is not rolled back."""
    texts: dict[str, str] = {}
    for each in chosen:
        check_soul_name(each.soul)
        text = each.text
        if len(text.encode()) > MAX_SOUL_BYTES:
            raise Invalid(f"the SOUL.md of {each.id!r} is over 2 MiB", field="agents")
        if texts.setdefault(each.soul, text) != text:
            raise Conflict(f"two of these agents would both be soul {each.soul!r}", field="names")
        await trio.to_thread.run_sync(
            _require_same, request.mission.home.soul(each.soul), each.soul, text
        )
        _known_agent(request, each)


def _known_agent(request: Request[ImportParams], found: Candidate) -> Agent | None:
    """Return the agent that is to be made, where it is there already.

    Raises:
        Conflict: it is another one, or the project is archived.
        NotFound: there is no such project.
    """
    project_id, reads = request.params.project_id, request.mission.reads
    if project_id is None:
        return None
    if reads.project(project_id).state is ProjectState.ARCHIVED:
        raise Conflict(f"project {project_id!r} is archived: restore it first")
    id_ = f"{found.soul}:{project_id}"
    known = reads.agent(id_) if reads.has_agent(id_) else None
    if known is not None and known.gateway_agent != found.id:
        other = known.gateway_agent or "the default one"
        raise Conflict(f"agent {id_} exists already, and its Gateway agent is {other}")
    return known


async def _import(request: Request[ImportParams], found: Candidate) -> dict[str, Any]:
    mission, project_id = request.mission, request.params.project_id
    sha256 = await trio.to_thread.run_sync(
        _install, mission.home.soul(found.soul), found.soul, found.text
    )
    await mission.store.write(InstallSoul(found.soul, sha256), by=request.caller.name)
    imported = {"gateway_agent": found.id, "soul": found.soul, "sha256": sha256}
    if project_id is None:
        return imported
    agent = _known_agent(request, found) or await _employ(request, project_id, found)
    return imported | {"instance_id": agent.id, "agent": to_wire(agent)}


async def _employ(request: Request[ImportParams], project_id: str, found: Candidate) -> Agent:
    settings = request.mission.settings
    command = CreateAgent(
        project_id,
        found.soul,
        settings.interval_s,
        settings.timeout_s,
        settings.max_retries,
        gateway_agent=found.id,
    )
    # A key is for one command, and this is one of several.
    own = attrs.evolve(request, key=f"{request.key}/{found.soul}" if request.key else None)
    agent: Agent = await own.commit(project_id, command)
    await roster_changed(request.mission, project_id)
    return agent


def _text(path: Path) -> str | None:
    """Return what is there, as far as it is a text; None where nothing is."""
    raw = read_plain(path, MAX_SOUL_BYTES + 1)
    if raw is None:
        # A link, a folder, or what we may not read: somebody's all the same.
        return "" if os.path.lexists(path) else None
    return raw.decode("utf-8", "replace")


def _require_same(path: Path, soul: str, text: str) -> bool:
    """Whether this SOUL.md is installed already; refuses to put it in the place of another."""
    known = _text(path)
    if known is not None and known != text:
        raise Conflict(
            f"soul {soul!r} exists already with another SOUL.md: compare {path} with the Gateway's,"
            " and make them equal or rename one",
            field="names",
        )
    return known is not None


def _install(path: Path, soul: str, text: str) -> str:
    if not _require_same(path, soul, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text, mode=0o644)
    return hashlib.sha256(path.read_bytes()).hexdigest()
