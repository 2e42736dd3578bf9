"""The one table of methods: validation, scopes, the plugin's manifest and tools come from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import attrs

from ..actors import Mission, Moved, Sign, pulse_name
from ..storage import Forbidden, Invalid, Unauthenticated
from ._callers import Access, Caller
from ._params import structure

P = TypeVar("P")

MAX_KEY_CHARS = 200


@attrs.frozen
class Request(Generic[P]):
    """One call of a method, all of it checked."""

    mission: Mission
    caller: Caller
    params: P
    key: str | None
    """Idempotency key."""

    async def commit(self, project_id: str, command: Any) -> Any:
        """Commit *command* on behalf of the caller."""
        self.caller.require_project(project_id)
        identity = self.caller.identity
        return await self.mission.commit(
            project_id,
            command,
            by=self.caller.name,
            key=self.key,
            fence=identity.fence if identity is not None else None,
        )

    @property
    def agent_id(self) -> str | None:
        """The calling agent's id; None for operators."""
        return self.caller.identity.agent_id if self.caller.identity else None


Handler = Callable[[Request[Any]], Awaitable[Any]]


@attrs.frozen
class Method:
    """A row of the table."""

    name: str
    params: type[Any]
    access: Access
    agents: bool
    """Whether agents may call it, for themselves."""
    run: Handler
    summary: str
    secret: bool = False
    """Whether its answers are: then it is not offered through the Gateway, which keeps logs."""

    @property
    def mutates(self) -> bool:
        """Whether it takes an idempotency key."""
        return self.access > Access.READ


METHODS: dict[str, Method] = {}
"""By name; aliases stand under their own."""


def method(
    name: str,
    params: type[P],
    access: Access,
    *aliases: str,
    agents: bool = False,
    secret: bool = False,
) -> Callable[[Callable[[Request[P]], Awaitable[Any]]], Callable[[Request[P]], Awaitable[Any]]]:
    """Enter a handler into the table.  Its docstring's first line is what clients are told."""

    def enter(
        run: Callable[[Request[P]], Awaitable[Any]],
    ) -> Callable[[Request[P]], Awaitable[Any]]:
        summary = (run.__doc__ or "").splitlines()[0]
        for each in (name, *aliases):
            METHODS[each] = Method(each, params, access, agents, run, summary, secret)
        return run

    return enter


async def call(mission: Mission, caller: Caller, name: str, params: dict[str, Any]) -> Any:
    """Call a method by name, as every door does.

    Raises:
        KeyError: there is no such method.
        MissionError: the call was refused or failed.
    """
    row = METHODS[name]
    caller.spend()
    caller.require(row.access)
    if caller.identity is not None:
        require_present(mission, caller)
        if not row.agents:
            raise Forbidden(f"{name} is for operators, not for agents")
        mission.tell(pulse_name(caller.identity.agent_id), Sign(name))
        params = _implied(row, caller, params)
    key = params.pop("idempotency_key", None) if row.mutates else None
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= MAX_KEY_CHARS):
        message = f"idempotency_key must be a string of 1 to {MAX_KEY_CHARS} characters"
        raise Invalid(message, field="idempotency_key")
    scoped = f"{caller.name}/{key}" if key is not None else None
    result = await row.run(Request(mission, caller, structure(params, row.params), scoped))
    if caller.identity is not None and row.mutates:
        mission.tell(pulse_name(caller.identity.agent_id), Moved(name, params.get("task_id")))
    return result


def require_present(mission: Mission, caller: Caller) -> None:
    """Refuse an agent whose attempt has ended: its connection may have outlived its token."""
    identity = caller.identity
    if identity is None or not identity.pulse_id:
        return
    if mission.tokens.of_pulse(identity.pulse_id) is None:
        raise Unauthenticated("your pulse has ended, and what you may do ended with it")


def _implied(row: Method, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """Fill in what an agent's identity says anyway; null is as good as nothing."""
    identity = caller.identity
    assert identity is not None  # noqa: S101 - asked by the caller of this function
    known = {"project_id": identity.project_id, "agent_id": identity.agent_id}
    if params.get("project_id") is None and identity.task_id is not None:
        known["task_id"] = identity.task_id  # who names a project means all of it
    names = {field.name for field in attrs.fields(row.params)}
    given = dict(params)
    for name, value in known.items():
        if name in names and given.get(name) is None:
            given[name] = value
    return given
