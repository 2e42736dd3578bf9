"""What the Gateway's errors mean to us, and what people can do about those that end a greeting."""

from __future__ import annotations

from ..storage import (
    Deadline,
    Forbidden,
    Invalid,
    Limited,
    MissionError,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from ._frames import PROTOCOL, SCOPES, Greeted, WireError

RETRY_AFTER_MS = 1000
"""What we advise where the Gateway does not."""


class GatewayRefused(Unavailable):
    """The Gateway will not have us as we are; the message says what a person has to change."""


def is_transient(error: WireError) -> bool:
    """Will waiting help, with nobody changing anything?"""
    return error.retryable or error.code == "UNAVAILABLE"


def to_mission_error(method: str, error: WireError) -> MissionError:
    """Translate a failure of *method* into our taxonomy."""
    message = f"the Gateway refused {method}: {error.message}"
    kind, retry_after_ms = _KINDS.get(error.code, Invalid), None
    if is_transient(error):
        kind = Limited if "limit" in error.details else Unavailable
        retry_after_ms = error.retry_after_ms or RETRY_AFTER_MS
    reason = {"gateway_reason": str(error.details.get("reason") or "")} if retry_after_ms else {}
    return kind(message, retry_after_ms=retry_after_ms, gateway_code=error.code, **reason)


def refusal(url: str, error: WireError) -> Unavailable:
    """Say, in one line for people, why the Gateway turned us away and what to do about it."""
    code = error.detail_code or error.code
    if is_transient(error):
        after = error.retry_after_ms or RETRY_AFTER_MS
        return Unavailable(f"the Gateway at {url} is not ready ({code})", retry_after_ms=after)
    what = "the token" if code.startswith("AUTH_") else "us"
    todo = _INSTRUCTIONS.get(code, f"it says: {error.message}")
    if code == "PAIRING_REQUIRED":
        todo = _pairing(error)
    return GatewayRefused(f"the Gateway at {url} refused {what} ({code}): {todo}")


def check_scopes(url: str, hello: Greeted) -> None:
    """Raise GatewayRefused where *hello* does not grant all that we need."""
    missing = sorted(set(SCOPES) - set(hello.scopes))
    if missing:
        todo = "connect over loopback, with the Gateway's own token"
        raise GatewayRefused(f"the Gateway at {url} withholds {', '.join(missing)}: {todo}")


_KINDS: dict[str, type[MissionError]] = {
    "AGENT_TIMEOUT": Deadline,
    "APPROVAL_NOT_FOUND": NotFound,
    "FORBIDDEN": Forbidden,
    "INVALID_REQUEST": Invalid,
    "NOT_PAIRED": Unauthenticated,
}


def _pairing(error: WireError) -> str:
    request = str(error.details.get("requestId") or "") or "--latest"
    return (
        "this host is not approved there yet; on the Gateway's host run"
        f" 'openclaw devices approve {request}', and we connect by ourselves"
    )


_CHECK_AUTH = "check --token-file against gateway.auth.token in openclaw.json"

_INSTRUCTIONS = {
    "AUTH_TOKEN_MISMATCH": _CHECK_AUTH,
    "AUTH_TOKEN_MISSING": _CHECK_AUTH,
    "AUTH_SCOPE_MISMATCH": "it approved this host for less: approve it anew there",
    "DEVICE_AUTH_SIGNATURE_EXPIRED": "the clocks of the two hosts differ: set them",
    "DEVICE_IDENTITY_REQUIRED": f"it asks for a token; {_CHECK_AUTH}",
    "PROTOCOL_MISMATCH": f"we speak protocol {PROTOCOL}: install versions that fit each other",
}
