"""The methods that a sidecar asks of its Gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import trio

from ._life import Life, restarting
from ._peer import Frame, Peer, Refusal
from ._run import Run
from ._sessions import Session, new_id

DEFAULT_WAIT_MS = 30_000
HISTORY_LIMIT = 200


class Refused(Exception):
    """The request is answered with an error."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


async def take(life: Life, peer: Peer, request: Frame) -> None:
    """Answer *request*, as often as it is answered."""
    method, params = request["method"], request.get("params") or {}
    try:
        if method == "agent":
            await _agent(life, peer, request)
            return
        answer = await _handler(life, method)(life, params)
    except Refused as refused:
        await peer.reject(request, refused.refusal)
    else:
        await peer.answer(request, **answer)


def _handler(life: Life, method: str) -> Method:
    if life.draining == "stopping":
        raise Refused(restarting(method))
    if method not in METHODS:
        raise _invalid(f"unknown method: {method}")
    return METHODS[method]


async def _agent(life: Life, peer: Peer, request: Frame) -> None:
    params = request["params"]
    key = _required("agent", params, "idempotencyKey")
    _required("agent", params, "message")
    known = life.runs.get(key)
    if known is not None:
        about = {"sessionKey": known.turn.session_key, "agentId": known.turn.agent_id}
        under_way = {"runId": key, "status": "in_flight", **about}
        await peer.settle(request, known.settled or under_way, known.refusal)
        return
    if life.draining:
        await peer.reject(request, restarting("agent"))
        return
    session = _opened(life, params.get("sessionKey") or "main", params.get("agentId"))
    run = Run(life.prompt(session, params), peer, request)
    life.runs[key] = run  # before the next checkpoint: another may ask with the same key
    about = {"runId": key, "sessionKey": session.key, "agentId": session.agent_id}
    await peer.answer(request, **about, status="accepted", acceptedAt=life.now_ms())
    life.begin(run)


async def _wait(life: Life, params: Frame) -> Frame:
    run_id = _required("agent.wait", params, "runId")
    timeout_s = params.get("timeoutMs", DEFAULT_WAIT_MS) / 1000
    answer = await life.wait(run_id, timeout_s)
    if answer is None:
        raise Refused(restarting("agent.wait"))
    return answer


async def _create(life: Life, params: Frame) -> Frame:
    cwd = params.get("cwd")
    if cwd is not None and not await trio.Path(cwd).is_dir():
        raise _invalid(f"cwd does not exist: {cwd}")
    session = _opened(life, _required("sessions.create", params, "key"), params.get("agentId"))
    session.cwd, session.label = cwd or session.cwd, params.get("label") or session.label
    session.updated_ms = life.now_ms()
    return {
        "ok": True,
        "key": session.key,
        "sessionId": session.id,
        "entry": session.entry(),
        "runStarted": False,
    }


async def _describe(life: Life, params: Frame) -> Frame:
    session = _found(life, params, "key")
    return {"session": None if session is None else session.row()}


async def _list(life: Life, params: Frame) -> Frame:
    wanted = params.get("agentId")
    rows = [
        {**session.row(), "hasActiveRun": life.is_busy(session)}
        for session in life.disk.sessions.values()
        if wanted in (None, session.agent_id)
    ]
    return {"ts": life.now_ms(), "count": len(rows), "totalCount": len(rows), "sessions": rows}


async def _reset(life: Life, params: Frame) -> Frame:
    session = _opened(life, _required("sessions.reset", params, "key"), None)
    await _stop_all(life, session, "restart")
    session.reset(life.now_ms())
    return {"ok": True, "key": session.key, "entry": session.entry()}


async def _delete(life: Life, params: Frame) -> Frame:
    session = _found(life, params, "key")
    key = life.disk.key_of(params["key"])
    if session is not None:
        await _stop_all(life, session, "restart")
        del life.disk.sessions[key]
    return {"ok": True, "key": key, "deleted": session is not None, "archived": []}


async def _abort(life: Life, params: Frame) -> Frame:
    key, wanted = life.disk.key_of(_required("sessions.abort", params, "key")), params.get("runId")
    stopped = [run for run in life.active(key) if wanted in (None, run.id)]
    for run in stopped:
        await life.stop(run, "rpc")
    aborted = stopped[0].id if stopped else None
    return {
        "ok": True,
        "abortedRunId": aborted,
        "status": "aborted" if stopped else "no-active-run",
    }


async def _history(life: Life, params: Frame) -> Frame:
    session = _found(life, params, "sessionKey")
    key = life.disk.key_of(params["sessionKey"])
    if session is None:
        return {"sessionKey": key, "messages": [], "hasMore": False, "totalMessages": 0}
    busy = life.is_busy(session) or session.unfinished is not None
    return {
        "sessionKey": key,
        "sessionId": session.id,
        **session.page(params.get("limit", HISTORY_LIMIT), params.get("offset", 0)),
        "sessionInfo": {**session.row(), "hasActiveRun": busy},
    }


async def _tasks(life: Life, params: Frame) -> Frame:
    key = params.get("sessionKey")
    now = life.now_ms()
    tasks = [run.task(now) for run in life.active(key)]
    tasks += [task for task in life.commands.values() if key in (None, task["sessionKey"])]
    wanted = params.get("status")
    return {"tasks": [task for task in tasks if wanted is None or task["status"] in wanted]}


async def _cancel(life: Life, params: Frame) -> Frame:
    task_id = _required("tasks.cancel", params, "taskId")
    if life.commands.pop(task_id, None) is not None:
        return {"found": True, "cancelled": True}
    runs = [run for run in life.active() if run.task_id == task_id]
    for run in runs:
        await life.stop(run, "rpc")
    return {"found": bool(runs), "cancelled": bool(runs)}


async def _agents(life: Life, _: Frame) -> Frame:
    agents = [{"id": id_, "name": id_, "workspace": ""} for id_ in life.disk.agents]
    return {"defaultId": life.disk.agents[0], "agents": agents}


async def _file(life: Life, params: Frame) -> Frame:
    agent_id, name = params.get("agentId"), Path(str(params.get("name"))).name
    if agent_id not in life.disk.agents:
        raise _invalid(f'Unknown agent id "{agent_id}"')
    soul = life.disk.souls.get(str(agent_id)) if name == "SOUL.md" else None
    file = {"name": name, "missing": soul is None}
    return {"agentId": agent_id, "file": file if soul is None else {**file, "content": soul}}


async def _send(life: Life, params: Frame) -> Frame:
    names = ("channel", "to", "message", "idempotencyKey")
    channel, _, _, key = (_required("send", params, name) for name in names)
    if channel not in life.disk.channels:
        raise _invalid(f"Unsupported channel: {channel}")
    if key not in life.sent:
        life.disk.letters.append(params)
        life.sent[key] = {"runId": key, "messageId": new_id(), "channel": channel}
    return life.sent[key]


async def _health(life: Life, _: Frame) -> Frame:
    return {"ok": True, "ts": life.now_ms()}


Method: TypeAlias = Callable[[Life, Frame], Awaitable[Frame]]

METHODS: dict[str, Method] = {
    "agent.wait": _wait,
    "agents.files.get": _file,
    "agents.list": _agents,
    "chat.history": _history,
    "health": _health,
    "send": _send,
    "sessions.abort": _abort,
    "sessions.create": _create,
    "sessions.delete": _delete,
    "sessions.describe": _describe,
    "sessions.list": _list,
    "sessions.reset": _reset,
    "tasks.cancel": _cancel,
    "tasks.list": _tasks,
}
"""All but `agent`, which is answered twice."""


async def _stop_all(life: Life, session: Session, reason: str) -> None:
    for run in list(life.active(session.key)):
        await life.stop(run, reason)


def _opened(life: Life, key: str, agent_id: str | None) -> Session:
    session = life.disk.open(life.disk.key_of(key, agent_id), life.now_ms())
    if session is None:
        raise _invalid(f'Unknown agent id "{life.disk.key_of(key, agent_id).split(":")[1]}"')
    return session


def _found(life: Life, params: Frame, name: str) -> Session | None:
    return life.disk.sessions.get(life.disk.key_of(_required("request", params, name)))


def _invalid(message: str) -> Refused:
    return Refused(Refusal("INVALID_REQUEST", message))


def _required(method: str, params: Frame, name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str) or not value:
        raise _invalid(f"invalid {method} params: must have required property '{name}'")
    return value
