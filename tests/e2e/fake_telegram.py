"""Telegram as a Gateway sees it: as much of the Bot API, on loopback, as it takes to talk to us.

The Gateway asks for what people wrote (`getUpdates`, a long poll) and says what they are to read
(`sendMessage`); any other method does nothing and succeeds.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs

LONGEST_POLL_S = 5.0
"""Less than clients ask for, so that a server that stops is not waited for."""


class FakeTelegram:
    """One bot, and the people it talks with; a context manager, since it owns a port and threads.

    Attributes:
        sent: (whom, what) the bot has said, in order.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self._updates: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> FakeTelegram:
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

    def settings(self, *may_write: str) -> dict[str, Any]:
        """Return the `channels` part of a Gateway's settings, for which those people may write."""
        return {
            "telegram": {
                "enabled": True,
                "botToken": "123456:for-tests-only",
                "apiRoot": f"http://127.0.0.1:{self._server.server_port}",
                "dmPolicy": "allowlist",
                "allowFrom": list(may_write),
                "groupPolicy": "disabled",
            }
        }

    def write(self, person: str, text: str) -> None:
        """Let *person*, a number, write to the bot."""
        who = {"id": int(person), "first_name": "Maria"}
        with self._changed:
            number = len(self._updates) + 1
            message = {
                "message_id": number,
                "date": int(time.time()),
                "text": text,
                "chat": {**who, "type": "private"},
                "from": {**who, "is_bot": False},
            }
            if text.startswith("/"):
                length = len(text.partition(" ")[0])
                message["entities"] = [{"type": "bot_command", "offset": 0, "length": length}]
            self._updates.append({"update_id": number, "message": message})
            self._changed.notify_all()

    def wait_for(self, words: str, timeout_s: float = 120.0) -> str:
        """Block the calling thread until the bot has said *words*; return the whole message."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._found(words), timeout_s):
                raise TimeoutError(f"the bot never said {words!r} but {self.sent}")
            return self._found(words)

    def _found(self, words: str) -> str:
        return next((text for _, text in self.sent if words in text), "")

    def answer(self, method: str, params: dict[str, Any]) -> object:
        """Do what the Gateway asks of Telegram; called in the threads of the server."""
        match method:
            case "getMe":
                return {"id": 123456, "is_bot": True, "first_name": "Bot", "username": "test_bot"}
            case "getUpdates":
                return self._updates_from(int(params.get("offset") or 0), params.get("timeout"))
            case "sendMessage" | "editMessageText":
                return self._take(str(params.get("chat_id")), str(params.get("text")))
            case _:
                return True

    def _updates_from(self, offset: int, timeout: object) -> list[dict[str, Any]]:
        def fresh() -> list[dict[str, Any]]:
            return [update for update in self._updates if update["update_id"] >= offset]

        with self._changed:
            self._changed.wait_for(fresh, min(float(str(timeout or 0)), LONGEST_POLL_S))
            return fresh()

    def _take(self, person: str, text: str) -> dict[str, Any]:
        with self._changed:
            self.sent.append((person, text))
            self._changed.notify_all()
            chat = {"id": int(person), "type": "private"}
            return {"message_id": 1000 + len(self.sent), "date": int(time.time()), "chat": chat}


def _handler_of(telegram: FakeTelegram) -> type[BaseHTTPRequestHandler]:
    answer = telegram.answer

    class Handler(_Handler):
        def result(self, method: str, params: dict[str, Any]) -> object:
            return answer(method, params)

    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    result: Callable[..., object]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._reply(b"")

    def do_POST(self) -> None:
        self._reply(self.rfile.read(int(self.headers.get("content-length") or 0)))

    def _reply(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        params = _params(self.headers.get("content-type", ""), body, query)
        result = self.result(path.rpartition("/")[2], params)
        answer = json.dumps({"ok": True, "result": result}).encode()
        try:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the Gateway was stopped while it waited for news


def _params(content_type: str, body: bytes, query: str) -> dict[str, Any]:
    if "json" in content_type and body:
        return dict(json.loads(body))
    form = parse_qs(body.decode("utf-8", "replace") or query)
    return {name: values[0] for name, values in form.items()}
