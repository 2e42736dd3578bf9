"""Plays one turn: what the script says becomes events, transcript rows and answers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

import attrs
import trio

from ._peer import Frame, Refusal
from ._run import TIMED_OUT, Run
from ._script import CallTool, Fail, Hang, Say, Script, Step, Think
from ._sessions import MODEL, Session, new_id, usage_of

ABANDONED = "Agent run failed (model: scripted/scripted-1)."
RECOVERY = "main_session_restart_recovery"
RESUMED = "[System] Your previous turn was interrupted by a gateway restart."


class Stage(Protocol):
    """What a performance needs of the Gateway's life."""

    @property
    def script(self) -> Script: ...

    def now_ms(self) -> int:
        """Return the time of day."""

    def leave(self, session_key: str, command: str) -> None:
        """Let *command* run on after its turn."""

    def news(self) -> None:
        """Wake all who wait for something to happen to a run."""

    async def tell(self, event: str, /, **payload: Any) -> None:
        """Tell every client."""


@attrs.define
class Failed(Exception):
    """The turn ends with an error."""

    message: str


@attrs.define
class Performance:
    """One run on its session."""

    stage: Stage
    run: Run
    session: Session
    _reply: str = attrs.field(default="", init=False)

    async def play(self) -> None:
        """Play the turn to its end, whichever that is; a cancellation leaves it unfinished."""
        known = self.session.has_turn(self.run.id)  # from before a crash
        await self._begin()
        limit = self.run.turn.timeout_s or math.inf
        try:
            with self.run.scope, trio.move_on_after(limit) as clock:
                await self._perform(Fail(ABANDONED) if known else None)
        except Failed as failure:
            await self._fail(failure.message)
            return
        if self.run.stopped is not None:
            await self._stop(self.run.stopped)
        elif clock.cancelled_caught:
            await self._time_out()
        else:
            await self._finish()

    async def _begin(self) -> None:
        run, session, now = self.run, self.session, self.stage.now_ms()
        run.started_ms = now
        session.status, session.unfinished, session.aborted_last_run = "running", run.turn, False
        row: Frame = {
            "role": "user",
            "content": run.turn.message,
            "idempotencyKey": f"{run.id}:user",
        }
        if run.turn.resumed:
            row["content"] = RESUMED
            row["provenance"] = {"kind": "internal_system", "sourceTool": RECOVERY}
        session.add(row, now)
        await self._tell("lifecycle", phase="start", startedAt=now)
        await self._tell("lifecycle", phase="model", provider="scripted", model="scripted-1")

    async def _perform(self, instead: Fail | None) -> None:
        """Do what the script says, or *instead*."""
        for step in (instead,) if instead else self._steps():
            match step:
                case Think(seconds=seconds):
                    await trio.sleep(seconds)
                case CallTool():
                    await self._call(step)
                case Say(text=text, pieces=pieces):
                    await self._answer(text, pieces)
                    return
                case Hang(text=text):
                    self.run.calls += 1
                    await self._stream(text, 1)
                    await trio.sleep_forever()
                case Fail(message=message):
                    self.run.calls += 1
                    raise Failed(message)

    def _steps(self) -> Iterator[Step]:
        try:
            yield from self.stage.script(self.run.turn)
        except Exception as error:  # the embedder's code: whatever it is, the turn failed by it
            raise Failed(f"the script failed: {error!r}") from error

    async def _answer(self, text: str, pieces: int) -> None:
        self.run.calls += 1
        await self._stream(text, pieces)
        self._reply = text
        self._write(_said(text), stopReason="stop")

    async def _stream(self, text: str, pieces: int) -> None:
        """Tell *text* in parts, as it comes from the model."""
        self.run.said.append("")
        for piece in _parts(text, pieces):
            self.run.said[-1] += piece
            whole = self.run.said[-1]
            await self._tell("assistant", text=whole, delta=piece, itemId=new_id())
            await self._chat("delta", deltaText=piece, message=self._message())

    async def _call(self, step: CallTool) -> None:
        call: Frame = {"name": step.name, "toolCallId": f"call_{new_id()}"}
        self.run.calls += 1
        if step.text:
            await self._stream(step.text, 1)
        wanted = {
            "type": "toolCall",
            "id": call["toolCallId"],
            "name": step.name,
            "arguments": dict(step.args),
        }
        self._write([*_said(step.text), wanted], stopReason="toolUse")
        item = {"itemId": f"tool:{call['toolCallId']}", "kind": "tool", **call}
        await self._tell_tool({"phase": "start", "args": dict(step.args), **call})
        await self._tell("item", phase="start", **item)
        if step.args.get("background") is True:
            self.stage.leave(self.session.key, str(step.args.get("command")))
        result, failed = await _carry_out(step)
        if not failed and step.name not in self.run.tools:
            self.run.tools.append(step.name)
        content = _said(result)
        row = {"role": "toolResult", "toolName": step.name, "toolCallId": call["toolCallId"]}
        row |= {"content": content, "isError": failed}
        self.session.add(row, self.stage.now_ms(), self.run.id)
        outcome = {"phase": "result", "isError": failed, "result": {"content": content}}
        await self._tell_tool({**outcome, **call})
        await self._tell("item", phase="end", status="failed" if failed else "completed", **item)

    async def _finish(self) -> None:
        now, run = self._close("done"), self.run
        visible = bool(self._reply)
        reply = (
            {"disposition": "visible", "text": self._reply} if visible else {"disposition": "empty"}
        )
        receipt = run.receipt(self.session.id, visible=visible)
        ending = {
            "stopReason": "stop",
            "livenessState": "working",
            "terminalReceipt": receipt,
            "terminalReply": reply,
        }
        run.end(now, status="ok", **ending)
        await self._tell("lifecycle", phase="finishing", stopReason="stop", aborted=False)
        await self._tell("lifecycle", phase="end", aborted=False, endedAt=now, **ending)
        await self._chat("final", stopReason="stop", message=self._message())
        self.stage.news()
        texts = [{"text": self._reply, "mediaUrl": None}] if visible else []
        result = run.result(texts, self.session.id, now)
        await run.settle(status="ok", summary="completed", result=result)

    async def _fail(self, message: str) -> None:
        self._write(_said(message), stopReason="error", errorMessage=message)
        await self._end_badly("failed", status="error", error=message)
        lost = {"runId": self.run.id, "status": "error", "summary": message}
        await self.run.break_off(Refusal("UNAVAILABLE", message), lost)

    async def _time_out(self) -> None:
        late = {"timeoutPhase": "provider", "providerStarted": True}
        self._write(_said(""), stopReason="aborted", errorMessage="request timed out")
        now = await self._end_badly("timeout", status="timeout", error=TIMED_OUT, **late)
        texts: list[Frame] = [{"text": TIMED_OUT, "isError": True, "mediaUrl": None}]
        result = self.run.result(texts, self.session.id, now)
        await self.run.settle(status="timeout", summary="aborted", result=result, **late)

    async def _end_badly(self, closing: str, **ending: object) -> int:
        now = self._close(closing)
        self.run.end(now, **ending)
        told = {name: value for name, value in ending.items() if name != "status"}
        await self._tell("lifecycle", phase="error", aborted=False, endedAt=now, **told)
        await self._chat("error", errorMessage=ending["error"])
        self.stage.news()
        return now

    async def _stop(self, reason: str) -> None:
        """Say what remains to be said of a turn that was aborted."""
        more = {"timeoutPhase": "gateway_draining"}
        if reason == "rpc":
            more = {}
            self._close("killed")
            mark = {"aborted": True, "origin": "rpc", "runId": self.run.id}
            text = _said("".join(self.run.said))
            self._write(text, stopReason="stop", openclawAbort=mark)
        await self.run.settle(status="timeout", summary="aborted", stopReason=reason, **more)

    def _close(self, status: str) -> int:
        now, session = self.stage.now_ms(), self.session
        session.status, session.unfinished = status, None
        session.last_run_id, session.updated_ms = self.run.id, now
        return now

    def _write(self, content: list[Frame], **members: object) -> None:
        row = {"role": "assistant", "content": content, **MODEL, "usage": usage_of(1), **members}
        self.session.add(row, self.stage.now_ms(), self.run.id)

    def _message(self) -> Frame:
        text = "\n\n".join(filter(None, self.run.said))
        return {"role": "assistant", "content": _said(text), "timestamp": self.stage.now_ms()}

    async def _tell(self, stream: str, **data: object) -> None:
        await self.stage.tell("agent", **self._event(stream, data))

    async def _tell_tool(self, data: Frame) -> None:
        await self.run.tell_tool(**self._event("tool", data))

    async def _chat(self, state: str, **members: object) -> None:
        turn, seq = self.run.turn, self.run.events
        about = {"runId": self.run.id, "sessionKey": turn.session_key, "agentId": turn.agent_id}
        await self.stage.tell("chat", **about, seq=seq, state=state, **members)

    def _event(self, stream: str, data: Frame) -> Frame:
        self.run.events += 1
        return {
            "runId": self.run.id,
            "sessionKey": self.session.key,
            "sessionId": self.session.id,
            "agentId": self.session.agent_id,
            "stream": stream,
            "data": data,
            "seq": self.run.events,
            "ts": self.stage.now_ms(),
        }


async def _carry_out(step: CallTool) -> tuple[str, bool]:
    """Return the tool's result, and whether it failed."""
    if step.call is None:
        return "ok", False
    try:
        return str(await step.call(**step.args)), False
    except Exception as error:  # noqa: BLE001 - a tool's error is a result that the model reads
        return str(error), True


def _said(text: str) -> list[Frame]:
    return [{"type": "text", "text": text}] if text else []


def _parts(text: str, count: int) -> Iterator[str]:
    size = max(1, math.ceil(len(text) / max(1, count)))
    for start in range(0, len(text), size):
        yield text[start : start + size]
