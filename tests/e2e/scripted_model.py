"""A model that does what a test says: an OpenAI-compatible server on loopback.

The script is a function from a request to a step.  It runs in the server's threads, so it must
not touch the test's state except through what it returns; requests are logged for the test.
"""

from __future__ import annotations

import json
import select
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, TypeAlias

import attrs

MODEL = "scripted-1"
PATIENCE_S = 0.1
"""How soon a stalled reply notices that its client has gone."""


@attrs.frozen
class ModelRequest:
    """What the Gateway asks of the model."""

    body: dict[str, Any]

    @property
    def messages(self) -> list[tuple[str, str]]:
        """(role, text) of each message, in order."""
        return [(m["role"], text_of(m.get("content"))) for m in self.body.get("messages", [])]

    @property
    def system(self) -> str:
        return "\n".join(text for role, text in self.messages if role == "system")

    def says(self, marker: str) -> bool:
        """Does any message hold *marker*?"""
        return any(marker in text for _, text in self.messages)

    def replies_since(self, marker: str) -> int:
        """How many replies follow the newest user message that holds *marker*.

        The Gateway rewrites, merges and adds user messages, so the last one tells nothing.
        """
        replies = 0
        for role, text in reversed(self.messages):
            if role == "user" and marker in text:
                return replies
            replies += role == "assistant"
        return replies


@attrs.frozen
class Say:
    """Reply with *text*, and end the turn."""

    text: str


@attrs.frozen
class CallTool:
    """Ask for one tool call."""

    name: str
    args: dict[str, Any]
    text: str = ""


@attrs.frozen
class Stall:
    """Say *text*, and then nothing more until the client gives up."""

    text: str = ""


@attrs.frozen
class Fail:
    """Answer with an HTTP error.  Not 401: that makes the Gateway disable the provider."""

    status: int = 500


Step: TypeAlias = Say | CallTool | Stall | Fail
Script: TypeAlias = Callable[[ModelRequest], Step]


class ScriptedModel:
    """The server; a context manager, since it owns a port and threads."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self._requests: list[ModelRequest] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> ScriptedModel:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def requests(self, marker: str = "") -> list[ModelRequest]:
        """The requests so far that hold *marker*."""
        with self._changed:
            return [request for request in self._requests if request.says(marker)]

    def wait_for(self, marker: str, count: int = 1, timeout_s: float = 120) -> None:
        """Block the calling thread until *count* requests have held *marker*."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: sum(r.says(marker) for r in self._requests) >= count, timeout_s
            ):
                raise TimeoutError(f"{marker} was not asked of the model {count} times")

    def answer(self, request: ModelRequest) -> Step:
        """Log *request*, and look up what to do."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()
        return self.script(request)


def text_of(content: object) -> str:
    """The text of a message's content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content)
    return ""


def _handler_of(model: ScriptedModel) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        pass

    Handler.model = model
    return Handler


class _Handler(BaseHTTPRequestHandler):
    model: ScriptedModel

    def log_message(self, *_: object) -> None:
        """Say nothing: the log of requests is for the test."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        step = self.model.answer(ModelRequest(body))
        if isinstance(step, Fail):
            self.send_error(step.status)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        try:
            for chunk in _chunks(step):
                self._send(json.dumps(chunk))
            if isinstance(step, Stall):
                self._wait_until_abandoned()
            self._send("[DONE]")
        except (BrokenPipeError, ConnectionResetError):
            pass  # the run was aborted

    def _send(self, data: str) -> None:
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()

    def _wait_until_abandoned(self) -> None:
        while not select.select([self.connection], [], [], PATIENCE_S)[0]:
            pass  # a client that waits for a reply has nothing to say but goodbye


def _chunks(step: Say | CallTool | Stall) -> Iterator[dict[str, Any]]:
    yield _chunk({"role": "assistant", "content": ""})
    if step.text:
        yield _chunk({"content": step.text})
    if isinstance(step, Stall):
        return
    if isinstance(step, CallTool):
        call_id = f"call-{time.time_ns()}"
        function = {"name": step.name, "arguments": json.dumps(step.args)}
        call = {"index": 0, "id": call_id, "type": "function", "function": function}
        yield _chunk({"tool_calls": [call]})
    yield _chunk({}, "tool_calls" if isinstance(step, CallTool) else "stop")
    yield {
        **_chunk({}),
        "choices": [],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
