"""Every refusal a caller may see: one taxonomy for Python, JSON-RPC, HTTP and exit codes.

* MissionError
  + Invalid           a parameter is wrong; names the field
  + NotFound          there is no such thing
  + Conflict          the thing changed, or exists already: read again
  + Forbidden         the caller may not
  + Unauthenticated   the caller did not prove who it is
  + Deadline          it took too long; the outcome may still come
  + Limited           too much at once: wait `retry_after_ms`
  + Unavailable       something we need is away: wait `retry_after_ms`
  + Internal          our bug

Sources: SYSTEM §13.  Actors answer with these; they never crash an actor.
"""

from __future__ import annotations

from typing import Any, ClassVar


class MissionError(Exception):
    """The base of all of the below; never raised itself."""

    kind: ClassVar[str] = "internal"
    code: ClassVar[int] = -32603
    """The JSON-RPC error code."""
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 70
    """Of the command line, in the manner of sysexits.h."""
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, retry_after_ms: int | None = None, **details: object
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_ms = retry_after_ms
        self.details = details

    def to_wire(self) -> dict[str, Any]:
        """The `error` member of a JSON-RPC response."""
        data: dict[str, Any] = {"kind": self.kind, "retryable": self.retryable, **self.details}
        if self.retry_after_ms is not None:
            data["retry_after_ms"] = self.retry_after_ms
        return {"code": self.code, "message": self.message, "data": data}


class Invalid(MissionError):
    """A parameter is of the wrong type, unknown or out of range; `details["field"]` names it."""

    kind, code, http_status, exit_code = "invalid", -32602, 400, 64


class NotFound(MissionError):
    """There is no such project, task, agent, soul or request."""

    kind, code, http_status, exit_code = "not_found", -32004, 404, 66


class Conflict(MissionError):
    """What the caller relied on has changed; `details` carries the present state."""

    kind, code, http_status, exit_code = "conflict", -32009, 409, 75


class Forbidden(MissionError):
    """The caller is known, and may not do this."""

    kind, code, http_status, exit_code = "forbidden", -32003, 403, 77


class Unauthenticated(MissionError):
    """No token, or a wrong one."""

    kind, code, http_status, exit_code = "unauthenticated", -32001, 401, 77


class Deadline(MissionError):
    """No answer in time; a change may have happened all the same, so retry with the same key."""

    kind, code, http_status, exit_code, retryable = "deadline", -32008, 504, 75, True


class Limited(MissionError):
    """A cap was reached."""

    kind, code, http_status, exit_code, retryable = "limited", -32029, 429, 75, True


class Unavailable(MissionError):
    """A part that is needed is starting, stopping or away."""

    kind, code, http_status, exit_code, retryable = "unavailable", -32010, 503, 69, True


class Internal(MissionError):
    """A bug of ours: logged under the id that the message names."""


BY_CODE: dict[int, type[MissionError]] = {
    cls.code: cls
    for cls in (
        Invalid,
        NotFound,
        Conflict,
        Forbidden,
        Unauthenticated,
        Deadline,
        Limited,
        Unavailable,
        Internal,
    )
}


def from_wire(error: dict[str, Any]) -> MissionError:
    """Make the exception that :meth:`MissionError.to_wire` described, for clients of ours."""
    data = dict(error.get("data") or {})
    retry_after_ms = data.pop("retry_after_ms", None)
    for name in ("kind", "retryable"):
        data.pop(name, None)
    cls = BY_CODE.get(int(error["code"]), Invalid)
    return cls(str(error["message"]), retry_after_ms=retry_after_ms, **data)
